from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from tinydf_export.targets.openvino.layout import convolve_pictures


def _model(node: onnx.NodeProto, channels: int, side: int, *, sizes: tuple[int, ...] = ()) -> onnx.ModelProto:
    constants = [helper.make_tensor("sizes", TensorProto.INT64, [4], sizes)] if sizes else []
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", channels, side, side])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", "c", "h", "w"])],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def _pool(kernel: int, stride: int) -> onnx.NodeProto:
    return helper.make_node(
        "AveragePool", ["x"], ["y"], "pool", kernel_shape=[kernel, kernel], strides=[stride, stride]
    )


def _resize() -> onnx.NodeProto:
    return helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], "resize", mode="linear")


def _run(model: onnx.ModelProto, values: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": values})[0])


def _types(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


@pytest.mark.parametrize(
    ("model", "types"),
    [
        (_model(_pool(2, 2), 3, 12), {"Conv": 1}),
        (_model(_pool(4, 4), 1, 12), {"Conv": 1}),
        (_model(_resize(), 3, 28, sizes=(2, 3, 16, 16)), {"Conv": 1, "DepthToSpace": 1}),
        (_model(_resize(), 3, 12, sizes=(2, 3, 6, 6)), {"Conv": 1, "DepthToSpace": 1}),
    ],
    ids=["pool by 2", "pool by 4", "7 to 4", "2 to 1"],
)
def test_pictures_are_pooled_and_shrunk_by_convolutions_alike(model: onnx.ModelProto, types: dict[str, int]) -> None:
    written = convolve_pictures(model)
    onnx.checker.check_model(written, full_check=True)
    shape = model.graph.input[0].type.tensor_type.shape.dim
    values = np.random.default_rng(0).uniform(0, 255, (2, *(side.dim_value for side in shape[1:]))).astype(np.float32)
    assert _types(written) == types
    np.testing.assert_allclose(_run(written, values), _run(model, values), atol=1e-3)


@pytest.mark.parametrize(
    "model",
    [
        _model(_pool(2, 2), 16, 12),
        _model(_pool(3, 2), 3, 12),
        _model(_resize(), 3, 8, sizes=(2, 3, 14, 14)),
        # Each new pixel lies on the border of two steps.
        _model(_resize(), 3, 12, sizes=(2, 3, 9, 10)),
    ],
    ids=["many channels", "overlapping windows", "enlarged", "two ratios"],
)
def test_other_nodes_stay_as_they_are(model: onnx.ModelProto) -> None:
    assert _types(convolve_pictures(model)) == _types(model)
