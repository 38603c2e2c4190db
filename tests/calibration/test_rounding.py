from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import ModelProto, numpy_helper  # noqa: E402

from tinydf_calibration.moments import observe_moments  # noqa: E402
from tinydf_calibration.quantize import quantizable_layers  # noqa: E402
from tinydf_calibration.rounding import find_moves, round_together  # noqa: E402
from tinydf_calibration.sampler import LabelledCrops  # noqa: E402
from tinydf_calibration.scales import quantize_weight, weight_scales  # noqa: E402
from tinydf_calibration.scores import as_inputs, open_session  # noqa: E402

Draw = Callable[[int, int], LabelledCrops]


def test_rounding_together_disturbs_correlated_outputs_less_than_rounding_to_the_nearest() -> None:
    rng = np.random.default_rng(0)
    # Few causes behind many inputs, as behind the channels of a map; two groups of channels.
    inputs = rng.normal(0, 1, (2, 400, 6)) @ rng.normal(0, 1, (2, 6, 40)) + 0.1 * rng.normal(0, 1, (2, 400, 40))
    fit, unseen = inputs[:, :200], inputs[:, 200:]
    weight = rng.normal(0, 1, (16, 40, 1, 1)).astype(np.float32)
    scales = weight_scales(weight)[:, None]
    errors = []
    for stored in (quantize_weight(weight)[0], round_together(weight, fit.transpose(0, 2, 1) @ fit / 200)):
        missing = (weight[..., 0, 0] - stored[..., 0, 0] * scales).reshape(2, 8, 40)
        errors.append(np.square(unseen @ missing.transpose(0, 2, 1)).mean())
        assert np.abs(stored).max() <= 64
    assert errors[1] < 0.2 * errors[0]


def test_inputs_that_are_not_correlated_round_to_the_nearest() -> None:
    weight = np.random.default_rng(1).normal(0, 1, (4, 1, 3, 3)).astype(np.float32)
    moments = np.stack([np.diag(np.arange(9.0))] * 4)
    assert np.array_equal(round_together(weight, moments), quantize_weight(weight)[0])


def test_inputs_that_are_always_zero_do_no_harm() -> None:
    weight = np.random.default_rng(1).normal(0, 1, (4, 1, 3, 3)).astype(np.float32)
    assert np.array_equal(round_together(weight, np.zeros((4, 9, 9))), quantize_weight(weight)[0])


def test_moments_are_those_of_what_a_convolution_sums(small_network: ModelProto, draw_crops: Draw) -> None:
    """The mean square of an output without its bias is w M w, here on maps of which every place is looked at."""
    crops = draw_crops(2, 1).crops
    small = ModelProto()
    small.CopyFrom(small_network)
    # Steps of two leave 4 x 4 places, fewer than are drawn.
    for node in small.graph.node:
        if node.name == "depthwise":
            next(one for one in node.attribute if one.name == "strides").ints[:] = [2, 2]
    for tensor in small.graph.initializer:
        if tensor.name == "depthwise_b":
            tensor.CopyFrom(numpy_helper.from_array(np.zeros(8, np.float32), tensor.name))
    del small.graph.value_info[:]
    moments = observe_moments(small, ["stem", "depthwise", "join"], crops)
    assert set(moments) == {"stem", "depthwise"}
    assert moments["stem"].shape == (1, 27, 27)
    session = open_session(small, ["depthwise_out"])
    squares = np.mean(
        [np.square(session.run(["depthwise_out"], {"image": one})[0]).mean((0, 2, 3)) for one in as_inputs(crops)], 0
    )
    weights = next(numpy_helper.to_array(one) for one in small.graph.initializer if one.name == "depthwise_w")
    rows = weights.reshape(8, 9).astype(np.float64)
    np.testing.assert_allclose(np.einsum("gi,gij,gj->g", rows, moments["depthwise"], rows), squares, rtol=1e-4)


def test_moves_lead_from_the_nearest_to_what_was_rounded_together(small_network: ModelProto, draw_crops: Draw) -> None:
    layers = quantizable_layers(small_network)
    moments = observe_moments(small_network, layers, draw_crops(8, 1).crops)
    moves = find_moves(small_network, layers, moments)
    assert set(moves) == set(moments)
    weights = {one.name: numpy_helper.to_array(one) for one in small_network.graph.initializer}
    assert np.array_equal(
        quantize_weight(weights["mix_w"], moves=moves["mix"])[0], round_together(weights["mix_w"], moments["mix"])
    )
    assert any(move.any() for move in moves.values())
