from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import ModelProto, numpy_helper  # noqa: E402

from tinydf_calibration.bias_correction import find_bias_shifts  # noqa: E402
from tinydf_calibration.moments import observe_channels  # noqa: E402
from tinydf_calibration.quantize import quantizable_layers, quantizable_tensors, quantize_model  # noqa: E402
from tinydf_calibration.range_methods import choose_ranges  # noqa: E402
from tinydf_calibration.ranges import observe  # noqa: E402
from tinydf_calibration.sampler import LabelledCrops  # noqa: E402
from tinydf_calibration.schemes import QDQ_SCHEMES  # noqa: E402
from tinydf_calibration.table import CalibrationTable  # noqa: E402

Draw = Callable[[int, int], LabelledCrops]
EMPTY = CalibrationTable("", "", "", "", 1, "min-max", {})


def test_a_corrected_convolution_has_the_mean_of_the_float_one(small_network: ModelProto, draw_crops: Draw) -> None:
    crops = draw_crops(16, 1).crops
    # Weights that all round the same way, as a bias correction is there for.
    biased = ModelProto()
    biased.CopyFrom(small_network)
    for tensor in biased.graph.initializer:
        if tensor.name == "mix_w":
            weight = np.full((8, 8, 1, 1), 0.4 / 64, np.float32)
            weight[:, 0] = 1
            tensor.CopyFrom(numpy_helper.from_array(weight, tensor.name))
    tensors = quantizable_tensors(biased)
    table = CalibrationTable(
        "", "", "", "", 16, "min-max", choose_ranges(observe(biased, tensors, crops), "min-max"),
        float_layers=tuple(name for name in quantizable_layers(biased) if name != "mix"),
    )  # fmt: skip
    shifts = find_bias_shifts(biased, ["mix"], observe_channels(biased, ["joined"], crops), table)
    assert set(shifts) == {"mix"}
    expected = observe_channels(biased, ["mix_out"], crops)["mix_out"].mean
    errors = []
    for one in (table, replace(table, bias_shifts=shifts)):
        quantized = quantize_model(biased, one, QDQ_SCHEMES["openvino"])
        errors.append(np.abs(observe_channels(quantized, ["mix_out"], crops)["mix_out"].mean - expected).max())
    assert errors[1] < 0.2 * errors[0]


def test_groups_are_corrected_by_their_own_channels(small_network: ModelProto, draw_crops: Draw) -> None:
    facts = observe_channels(small_network, ["mixed"], draw_crops(4, 1).crops)
    whole = find_bias_shifts(small_network, ["depthwise"], facts, EMPTY)["depthwise"]
    one = int(np.argmax(np.abs(whole)))
    only_one = replace(facts["mixed"], mean=facts["mixed"].mean * (np.arange(8) == one))
    alone = find_bias_shifts(small_network, ["depthwise"], {"mixed": only_one}, EMPTY)["depthwise"]
    assert [place for place, shift in enumerate(alone) if shift] == [one]
    assert alone[one] == whole[one]


def test_convolutions_of_unknown_input_are_left_alone(small_network: ModelProto) -> None:
    assert find_bias_shifts(small_network, ["mix", "last"], {}, EMPTY) == {}
