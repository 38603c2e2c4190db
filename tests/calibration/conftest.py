"""A small network of the operators that matter: convolutions with a clip, a sum, a ReLU, a gate and a verdict."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from numpy.typing import NDArray  # noqa: E402
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper  # noqa: E402

from tinydf_calibration.prepare import prepare_graph  # noqa: E402
from tinydf_calibration.sampler import LabelledCrops  # noqa: E402

SIDE = 16


@pytest.fixture(scope="session")
def small_network() -> ModelProto:
    """image -> stem, a residual block with a squeezed gate, a ReLU-joined pair, a pooled verdict and a map.

    Channels of the residual stream differ in size by up to 64 times.
    """
    rng = np.random.default_rng(2)
    constants: dict[str, NDArray[np.generic]] = {
        "level": np.array(1 / 255, np.float32),
        "zero": np.array(0, np.float32),
        "six": np.array(6, np.float32),
        "axes": np.array([2, 3], np.int64),
        "head_w": rng.normal(0, 1.0, (8, 1)).astype(np.float32),
        "one_axis": np.array([1], np.int64),
    }
    uneven = np.geomspace(0.05, 3.2, 8)

    def conv(
        name: str, taken: str, outs: int, ins: int, kernel: int = 1, groups: int = 1, stride: int = 1
    ) -> NodeProto:
        weight = rng.normal(0, 1 / np.sqrt(ins * kernel**2 / groups), (outs, ins // groups, kernel, kernel))
        if name in ("stem", "project"):
            weight *= uneven[:, None, None, None]
        elif ins == 8:
            weight /= uneven.reshape(1, -1, 1, 1) if groups == 1 else 1
        constants[f"{name}_w"] = weight.astype(np.float32)
        constants[f"{name}_b"] = rng.normal(0, 0.1, outs).astype(np.float32)
        return helper.make_node(
            "Conv",
            [taken, f"{name}_w", f"{name}_b"],
            [f"{name}_out"],
            name=name,
            group=groups,
            pads=[kernel // 2] * 4,
            strides=[stride] * 2,
            kernel_shape=[kernel, kernel],
        )

    node = helper.make_node
    nodes = [
        node("Cast", ["image"], ["pixels"], name="cast", to=TensorProto.FLOAT),
        node("Mul", ["pixels", "level"], ["unit"], name="scale"),
        conv("stem", "unit", 8, 3, 3, stride=2),
        conv("expand", "stem_out", 16, 8),
        node("Clip", ["expand_out", "zero", "six"], ["expanded"], name="clip"),
        node("ReduceMean", ["expanded", "axes"], ["squeezed"], name="squeeze", keepdims=1),
        conv("gate", "squeezed", 16, 16),
        node("Sigmoid", ["gate_out"], ["gated"], name="gate_sigmoid"),
        node("Mul", ["expanded", "gated"], ["excited"], name="excite"),
        conv("project", "excited", 8, 16),
        node("Add", ["stem_out", "project_out"], ["joined"], name="join"),
        conv("mix", "joined", 8, 8),
        node("Relu", ["mix_out"], ["mixed"], name="relu"),
        conv("depthwise", "mixed", 8, 8, 3, groups=8),
        conv("last", "depthwise_out", 8, 8),
        node("GlobalAveragePool", ["last_out"], ["pooled"], name="pool"),
        node("Flatten", ["pooled"], ["features"], name="flatten"),
        node("Gemm", ["features", "head_w"], ["logits"], name="head"),
        node("Squeeze", ["logits", "one_axis"], ["logit"], name="verdict"),
        node("Sigmoid", ["logit"], ["fake_probability"], name="probability"),
        conv("map", "last_out", 1, 8),
        node("Sigmoid", ["map_out"], ["map_probability"], name="map_sigmoid"),
        node("Squeeze", ["map_probability", "one_axis"], ["forgery_map"], name="map_squeeze"),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "small",
        [value("image", TensorProto.UINT8, ["n", 3, SIDE, SIDE])],
        [
            value("fake_probability", TensorProto.FLOAT, ["n"]),
            value("forgery_map", TensorProto.FLOAT, ["n", SIDE // 2, SIDE // 2]),
        ],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return prepare_graph(model)


@pytest.fixture(scope="session")
def draw_crops() -> Callable[[int, int], LabelledCrops]:
    """Draws labelled crops of noise: ``draw_crops(count, seed)``; forged ones are darker."""

    def draw(count: int, seed: int) -> LabelledCrops:
        rng = np.random.default_rng(seed)
        forged = np.arange(count) % 2 == 1
        crops = rng.integers(0, 256, (count, SIDE, SIDE, 3)) * np.where(forged, 0.7, 1.0)[:, None, None, None]
        return LabelledCrops(
            crops.astype(np.uint8),
            forged,
            np.arange(count) // 2,
            np.array(["a", "b", "b", "b"] * count)[:count],
            np.where(forged, "made", "real"),
            np.full(count, ""),
            rng.uniform(60, 200, count),
            rng.uniform(1, 100, count),
            rng.uniform(1, 5, count),
        )

    return draw
