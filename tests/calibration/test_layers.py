from __future__ import annotations

from collections.abc import Callable

import numpy as np
from onnx import ModelProto, numpy_helper

from tinydf_calibration.layers import compare_layers, first_bad, largest_values
from tinydf_calibration.sampler import LabelledCrops

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
