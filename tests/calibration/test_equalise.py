from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import ModelProto  # noqa: E402

from tinydf_calibration.equalise import Stream, apply_channel_scales, find_channel_scales, find_streams  # noqa: E402
from tinydf_calibration.moments import observe_channels  # noqa: E402
from tinydf_calibration.quantize import quantizable_layers  # noqa: E402
from tinydf_calibration.sampler import LabelledCrops  # noqa: E402
from tinydf_calibration.scores import as_inputs, open_session  # noqa: E402

Draw = Callable[[int, int], LabelledCrops]


def streams_of(model: ModelProto) -> dict[tuple[str, ...], Stream]:
    return {stream.makers: stream for stream in find_streams(model, quantizable_layers(model))}


def outputs(model: ModelProto, crops: LabelledCrops, tensors: list[str]) -> list[np.ndarray]:
    session = open_session(model, tensors)
    runs = [session.run(tensors, {"image": planes}) for planes in as_inputs(crops.crops)]
    return [np.concatenate([run[place] for run in runs]) for place in range(len(tensors))]


def test_streams_are_what_only_convolutions_make_and_take(small_network: ModelProto) -> None:
    streams = streams_of(small_network)
    # The residual sum ties its two makers; a clip, a gate and a pool end a stream, a ReLU does not.
    assert set(streams) == {("stem", "project"), ("mix",), ("depthwise",)}
    assert set(streams["stem", "project"].tensors) == {"stem_out", "project_out", "joined"}
    assert set(streams["stem", "project"].takers) == {"expand", "mix"}
    assert set(streams[("mix",)].takers) == {"depthwise"}
    assert set(streams[("depthwise",)].takers) == {"last"}


def test_a_stream_that_touches_a_float_layer_is_left_alone(small_network: ModelProto) -> None:
    layers = set(quantizable_layers(small_network)) - {"mix"}
    makers = {stream.makers for stream in find_streams(small_network, layers)}
    assert makers == {("depthwise",)}


def test_scaling_changes_no_bit_of_the_outputs(small_network: ModelProto, draw_crops: Draw) -> None:
    crops = draw_crops(4, 1)
    streams = find_streams(small_network, quantizable_layers(small_network))
    tensors = [name for stream in streams for name in stream.tensors]
    scales = find_channel_scales(small_network, streams, observe_channels(small_network, tensors, crops.crops))
    scaled = apply_channel_scales(small_network, scales)
    onnx.checker.check_model(scaled, full_check=True)
    names = ["fake_probability", "forgery_map"]
    for before, after in zip(outputs(small_network, crops, names), outputs(scaled, crops, names), strict=True):
        np.testing.assert_array_equal(before, after)


def test_scaling_brings_channels_closer(small_network: ModelProto, draw_crops: Draw) -> None:
    crops = draw_crops(8, 1)
    streams = [streams_of(small_network)["stem", "project"]]
    tensors = list(streams[0].tensors)
    before = observe_channels(small_network, tensors, crops.crops)
    scales = find_channel_scales(small_network, streams, before)
    assert set(scales) == {"stem", "project"}
    assert scales["stem"] == scales["project"]
    assert all(np.log2(factor) == round(np.log2(factor)) for factor in scales["stem"])
    after = observe_channels(apply_channel_scales(small_network, scales), tensors, crops.crops)
    spread = [np.ptp(np.log2(facts["joined"].largest)) for facts in (before, after)]
    assert spread[1] < 0.75 * spread[0]
    np.testing.assert_allclose(after["joined"].mean, before["joined"].mean * scales["stem"], rtol=1e-4)


def test_a_weight_that_two_convolutions_share_is_split(small_network: ModelProto, draw_crops: Draw) -> None:
    shared = ModelProto()
    shared.CopyFrom(small_network)
    (last,) = [node for node in shared.graph.node if node.name == "last"]
    (mix,) = [node for node in shared.graph.node if node.name == "mix"]
    last.input[1] = mix.input[1]
    scaled = apply_channel_scales(shared, {"mix": [2.0] * 8})
    crops = draw_crops(2, 1)
    for before, after in zip(
        outputs(shared, crops, ["fake_probability"]), outputs(scaled, crops, ["fake_probability"]), strict=True
    ):
        np.testing.assert_array_equal(before, after)


def test_no_scales_change_nothing(small_network: ModelProto) -> None:
    unchanged = apply_channel_scales(small_network, {})
    assert unchanged.SerializeToString(deterministic=True) == small_network.SerializeToString(deterministic=True)
    assert unchanged is not small_network
