from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import ModelProto, numpy_helper

from tinydf_calibration.layers import compare_layers, largest_values
from tinydf_calibration.moments import observe_moments
from tinydf_calibration.quantize import quantizable_layers, quantizable_tensors, quantize_model
from tinydf_calibration.rounding import encode_moves, find_moves
from tinydf_calibration.sampler import LabelledCrops
from tinydf_calibration.scales import (
    LARGEST_FACTOR,
    activation_scale,
    quantize_bias,
    quantize_weight,
    smallest_weight_scale,
)
from tinydf_calibration.schemes import QDQ_SCHEMES, QDQScheme
from tinydf_calibration.scores import score
from tinydf_calibration.table import CalibrationTable
from tinydf_runtime.errors import StaleTableError

FULL = replace(QDQ_SCHEMES["onnxruntime"], float_first=0)


@pytest.fixture(scope="module")
def crops(draw_crops: Callable[[int, int], LabelledCrops]) -> LabelledCrops:
    return draw_crops(12, 0)


@pytest.fixture(scope="module")
def table(small_network: ModelProto, crops: LabelledCrops) -> CalibrationTable:
    largest = largest_values(small_network, quantizable_tensors(small_network), crops.crops)
    ranges = {name: (-value, value) for name, value in largest.items()}
    return CalibrationTable("", "", "", "", len(crops), "min-max", ranges)


@pytest.mark.parametrize("name", [*QDQ_SCHEMES, "full"])
def test_quantized_network_scores_nearly_the_same(
    name: str, small_network: ModelProto, table: CalibrationTable, crops: LabelledCrops
) -> None:
    layers = quantizable_layers(small_network)
    moves = find_moves(small_network, layers, observe_moments(small_network, layers, crops.crops))
    table = replace(table, weight_moves={name: encode_moves(one) for name, one in moves.items()})
    quantized = quantize_model(small_network, table, FULL if name == "full" else QDQ_SCHEMES[name])
    onnx.checker.check_model(quantized, full_check=True)
    expected = score(small_network, crops.crops)
    # The network's channels are of such uneven size that 8 bit cannot do much better: with activations around 0, which
    # have a bit less, weights of 7 bits are off by .29, and of 8 bits by less than .25.
    share = 0.25 if name == "full" or QDQ_SCHEMES[name].unsigned else 0.3
    for fuse in (False, True):
        difference = np.abs(score(quantized, crops.crops, fuse=fuse) - expected)
        assert 0 < difference.max() < share * np.abs(expected).mean()
    ratios = {one.tensor: one.snr_db for one in compare_layers(small_network, quantized, crops.crops)}
    assert min(ratios[tensor] for tensor in ("expand_out", "expanded", "excited", "joined") if tensor in ratios) > 20


def test_what_onnxruntime_quantizes_it_fuses(
    small_network: ModelProto, table: CalibrationTable, tmp_path: Path
) -> None:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.optimized_model_filepath = str(tmp_path / "fused.onnx")
    model = quantize_model(small_network, table, FULL).SerializeToString()
    onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    fused = Counter(node.op_type for node in onnx.load(tmp_path / "fused.onnx").graph.node)
    # Only the map's last convolution is left in float.
    assert fused["QLinearConv"] == len([node for node in small_network.graph.node if node.op_type == "Conv"]) - 1
    assert fused["QLinearAdd"] == fused["QLinearMul"] == fused["QLinearGlobalAveragePool"] == 1
    assert fused["QuantizeLinear"] == 1
    assert fused["Clip"] == fused["Relu"] == 0


def test_the_first_convolutions_stay_float_for_onnxruntime(small_network: ModelProto, table: CalibrationTable) -> None:
    stored = {t.name for t in quantize_model(small_network, table, QDQ_SCHEMES["onnxruntime"]).graph.initializer}
    assert {"stem_w", "expand_w", "project_w", "gate_w"} <= stored
    assert {"mix_weight_quantized", "depthwise_weight_quantized"} <= stored


def test_float_layers_keep_their_weights_and_take_floats(small_network: ModelProto, table: CalibrationTable) -> None:
    quantized = quantize_model(small_network, replace(table, float_layers=("mix",)), FULL)
    mix = next(node for node in quantized.graph.node if node.name == "mix")
    assert mix.input[1] == "mix_w"
    assert "mix_weight_quantized" not in {tensor.name for tensor in quantized.graph.initializer}


def test_logits_and_the_head_are_never_quantized(small_network: ModelProto) -> None:
    layers = set(quantizable_layers(small_network))
    assert layers >= {"stem", "expand", "gate", "excite", "project", "join", "mix", "depthwise"}
    assert not layers & {"map", "head", "probability", "pool"}


@pytest.mark.parametrize("name", ["tensorrt", "coreml"])
def test_symmetric_schemes_have_int8_zeros_and_float_biases(
    name: str, small_network: ModelProto, table: CalibrationTable
) -> None:
    quantized = quantize_model(small_network, table, QDQ_SCHEMES[name])
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in quantized.graph.initializer}
    zero_points = [value for key, value in values.items() if key.endswith("_zero_point")]
    assert zero_points
    assert all(value.dtype == np.int8 and not value.any() for value in zero_points)
    assert values["mix_bias"].dtype == np.float32


def test_openvino_has_no_zero_point_but_zero(small_network: ModelProto, table: CalibrationTable) -> None:
    quantized = quantize_model(small_network, table, QDQ_SCHEMES["openvino"])
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in quantized.graph.initializer}
    assert not any(value.any() for key, value in values.items() if key.endswith("_zero_point"))


def test_bias_shifts_are_added(small_network: ModelProto, table: CalibrationTable) -> None:
    plain = QDQ_SCHEMES["tensorrt"]
    shifted = replace(table, bias_shifts={"mix": (0.25,) * 8})
    found = [
        numpy_helper.to_array(tensor)
        for one in (table, shifted)
        for tensor in quantize_model(small_network, one, plain).graph.initializer
        if tensor.name == "mix_bias"
    ]
    np.testing.assert_allclose(found[1] - found[0], 0.25, atol=1e-6)


def test_a_missing_range_is_a_stale_table(small_network: ModelProto, table: CalibrationTable) -> None:
    ranges = {name: pair for name, pair in table.ranges.items() if name != "joined"}
    with pytest.raises(StaleTableError, match="no range of joined"):
        quantize_model(small_network, replace(table, ranges=ranges), FULL)


@pytest.mark.parametrize("scheme", QDQ_SCHEMES.values(), ids=lambda one: one.name)
def test_same_input_gives_same_bytes_and_stays(
    scheme: QDQScheme, small_network: ModelProto, table: CalibrationTable
) -> None:
    before = small_network.SerializeToString()
    written = [quantize_model(small_network, table, scheme).SerializeToString(deterministic=True) for _ in range(2)]
    assert written[0] == written[1]
    assert small_network.SerializeToString() == before


@pytest.mark.parametrize(("low", "high"), [(0.0, 6.0), (-3.0, 1.0), (2.0, 5.0), (-4.0, -1.0), (-1e-3, 40.0)])
def test_unsigned_scale_covers_the_range_and_holds_zero(low: float, high: float) -> None:
    found = activation_scale(low, high, unsigned=True)
    lowest = -float(found.zero_point) * float(found.scale)
    highest = (255 - float(found.zero_point)) * float(found.scale)
    step = float(found.scale)
    assert lowest <= min(low, 0) + step / 2
    assert highest >= max(high, 0) - step / 2
    assert found.zero_point.dtype == np.uint8


def test_signed_scale_is_symmetric() -> None:
    found = activation_scale(-1.0, 2.54, unsigned=False)
    assert found.scale == pytest.approx(2.54 / 127)
    assert isinstance(found.zero_point, np.int8)
    assert found.zero_point == 0


def test_a_range_of_nothing_but_zero_has_a_scale() -> None:
    assert activation_scale(0.0, 0.0, unsigned=True).scale == 1
    assert activation_scale(0.0, 0.0, unsigned=False).scale == 1


def test_weights_are_off_by_half_a_step_at_most_channel_by_channel() -> None:
    weight = np.random.default_rng(0).normal(0, 1, (4, 3, 3, 3)).astype(np.float32)
    weight *= np.array([1e-3, 1, 100, 0], np.float32)[:, None, None, None]
    stored, scales = quantize_weight(weight)
    assert stored.dtype == np.int8
    assert np.abs(stored).max() == 64
    error = np.abs(stored * scales[:, None, None, None] - weight)
    assert (error <= 0.5001 * scales[:, None, None, None]).all()
    assert not stored[3].any()


def test_two_products_with_unsigned_activations_fit_16_bit() -> None:
    # Where there are no 8-bit dot products, x86 adds such pairs in 16 bit and saturates.
    assert np.iinfo(np.int16).max >= 2 * 255 * LARGEST_FACTOR


def test_moves_change_the_stored_values_but_where_a_bias_raised_the_scale() -> None:
    weight = np.array([[[[0.5]], [[1.0]]], [[[0.5]], [[1.0]]]], np.float32)
    moves = np.array([[[[-1]], [[1]]], [[[-1]], [[1]]]], np.int8)
    smallest = np.array([0.0, 1.0], np.float32)
    stored, scales = quantize_weight(weight, smallest, moves)
    assert stored[0].ravel().tolist() == [31, 64]
    assert stored[1].ravel().tolist() == [0, 1]
    assert scales.tolist() == [1 / 64, 1.0]


def test_all_schemes_store_the_same_weights(small_network: ModelProto, table: CalibrationTable) -> None:
    moves = {"mix": encode_moves(np.ones((8, 8, 1, 1), np.int8))}
    stored = [
        numpy_helper.to_array(tensor)
        for scheme in QDQ_SCHEMES.values()
        for tensor in quantize_model(small_network, replace(table, weight_moves=moves), scheme).graph.initializer
        if tensor.name in ("mix_weight_quantized", "mix_weight_scale")
    ]
    assert len(stored) == 2 * len(QDQ_SCHEMES)
    for found in (stored[::2], stored[1::2]):
        assert all(np.array_equal(one, found[0]) for one in found)


@pytest.mark.parametrize(
    "text", ["!", "AAAA", encode_moves(np.zeros(3, np.int8)), encode_moves(np.zeros(10**7, np.int8))]
)
def test_moves_of_another_weight_are_a_stale_table(
    text: str, small_network: ModelProto, table: CalibrationTable
) -> None:
    with pytest.raises(StaleTableError, match="rounding of mix"):
        quantize_model(small_network, replace(table, weight_moves={"mix": text}), FULL)


def test_a_large_bias_widens_the_weights_scale_until_it_fits() -> None:
    weight, bias = np.full((1, 1, 1, 1), 1e-6, np.float32), np.array([50.0], np.float32)
    input_scale = np.float32(1e-4)
    _, scales = quantize_weight(weight, smallest_weight_scale(bias, input_scale))
    units = (scales * input_scale).astype(np.float32)
    assert quantize_bias(bias, units) * units.astype(np.float64) == pytest.approx(50.0, rel=1e-6)
