from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from onnx import ModelProto, numpy_helper

from tinydf_calibration.agreement import Bounds, auc, compare_verdicts
from tinydf_calibration.layers import compare_layers, first_bad, largest_values
from tinydf_calibration.sampler import LabelledCrops

FORGED = np.tile([False, True], 30)
CLUSTER = np.arange(60) // 2
BEFORE = np.where(FORGED, 0.8, 0.2) + np.linspace(-0.15, 0.15, 60)


def test_a_model_agrees_with_itself() -> None:
    found = compare_verdicts(BEFORE, BEFORE, FORGED, CLUSTER, 0.5)
    assert (found.mean_difference, found.max_difference, found.flipped, found.auc_drop) == (0, 0, 0, 0)
    assert (found.auc_drop_low, found.auc_drop_high) == (0, 0)
    assert found.keeps_to(Bounds(0, 0, 0))


def test_differences_flips_and_lost_auc_are_counted() -> None:
    after = BEFORE.copy()
    after[:2] = after[:2][::-1]
    found = compare_verdicts(BEFORE, after, FORGED, CLUSTER, 0.5)
    assert found.flipped == pytest.approx(2 / 60)
    assert found.max_difference == pytest.approx(abs(BEFORE[0] - BEFORE[1]))
    assert found.mean_difference == pytest.approx(2 * abs(BEFORE[0] - BEFORE[1]) / 60)
    # One real crop now lies above all forged ones but those above it, and one forged crop below the real ones.
    assert found.auc_before == 1
    assert found.auc_drop is not None and found.auc_drop_low is not None and found.auc_drop_high is not None
    assert found.auc_drop_low <= found.auc_drop <= found.auc_drop_high
    assert found.auc_drop > 0
    assert not found.keeps_to(Bounds())


def test_auc_counts_ties_half_and_needs_both_classes() -> None:
    assert auc(np.array([0.1, 0.5, 0.5, 0.9]), np.array([False, True, False, True])) == 0.875
    assert auc(np.array([0.1, 0.5]), np.array([True, True])) is None


def test_one_class_alone_has_differences_but_no_auc() -> None:
    found = compare_verdicts(BEFORE, BEFORE, np.zeros(60, bool), CLUSTER, 0.5)
    assert found.auc is None and found.auc_drop is None
    assert found.keeps_to(Bounds())


def test_no_number_is_never_within_bounds() -> None:
    after = BEFORE.copy()
    after[3] = np.nan
    found = compare_verdicts(BEFORE, after, FORGED, CLUSTER, 0.5)
    assert found.flipped == pytest.approx(1 / 60)
    assert not found.keeps_to(Bounds(1, 1, 1))


Draw = Callable[[int, int], LabelledCrops]


def changed(model: ModelProto, constant: str, change: Callable[[np.ndarray], np.ndarray]) -> ModelProto:
    copied = ModelProto()
    copied.CopyFrom(model)
    tensor = next(tensor for tensor in copied.graph.initializer if tensor.name == constant)
    tensor.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(tensor)).astype(np.float32), constant))
    return copied


def test_equal_graphs_have_no_bad_layer(small_network: ModelProto, draw_crops: Draw) -> None:
    layers = compare_layers(small_network, small_network, draw_crops(2, 0).crops)
    assert len(layers) == len(small_network.graph.node)
    assert all(layer.snr_db == float("inf") for layer in layers)
    assert first_bad(layers) is None


def test_the_layer_that_is_wrong_is_named_not_those_behind_it(small_network: ModelProto, draw_crops: Draw) -> None:
    wrong = changed(small_network, "mix_w", lambda weight: -weight)
    bad = first_bad(compare_layers(small_network, wrong, draw_crops(2, 0).crops))
    assert bad is not None
    assert (bad.node, bad.operator, bad.finite) == ("mix", "Conv", True)


def test_a_value_that_is_no_number_is_bad(small_network: ModelProto, draw_crops: Draw) -> None:
    broken = changed(small_network, "depthwise_b", lambda bias: bias * np.nan)
    bad = first_bad(compare_layers(small_network, broken, draw_crops(2, 0).crops))
    assert bad is not None
    assert (bad.node, bad.finite) == ("depthwise", False)


def test_channels_scaled_by_powers_of_two_are_equal(small_network: ModelProto, draw_crops: Draw) -> None:
    scaled = changed(small_network, "depthwise_w", lambda weight: weight * 4)
    scaled = changed(scaled, "depthwise_b", lambda bias: bias * 4)
    scaled = changed(scaled, "last_w", lambda weight: weight / 4)
    assert first_bad(compare_layers(small_network, scaled, draw_crops(2, 0).crops)) is None


def test_overflow_is_the_largest_value(small_network: ModelProto, draw_crops: Draw) -> None:
    crops = draw_crops(2, 0).crops
    assert largest_values(small_network, ["expanded"], crops)["expanded"] <= 6
    huge = changed(small_network, "stem_w", lambda weight: weight * 1e38)
    assert largest_values(huge, ["stem_out"], crops)["stem_out"] > 1e37
