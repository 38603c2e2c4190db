from __future__ import annotations

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from tinydf_calibration.graph import index_graph
from tinydf_calibration.prepare import prepare_graph


def traced_like(side: int = 28, target: int = 16) -> ModelProto:
    """Shrinks a picture to sizes that it computes, and takes means in both ways of writing them."""
    node, value = helper.make_node, helper.make_tensor_value_info
    constants: dict[str, NDArray[np.generic]] = {
        "sizes": np.array([target, target], np.int64),
        "axes": np.array([-1, -2], np.int64),
        "unused": np.zeros(3, np.float32),
    }
    graph = helper.make_graph(
        [
            node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
            node("Shape", ["pixels"], ["front"], start=0, end=2),
            node("Concat", ["front", "sizes"], ["shape"], axis=0),
            node("Resize", ["pixels", "", "", "shape"], ["small"], mode="linear"),
            node("ReduceMean", ["small", "axes"], ["kept"], keepdims=1),
            node("ReduceMean", ["small", "axes"], ["dropped"], keepdims=0),
        ],
        "traced",
        [value("image", TensorProto.UINT8, ["n", 3, side, side])],
        [value("kept", TensorProto.FLOAT, ["n", 3, 1, 1]), value("dropped", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def run(model: ModelProto, batch: int) -> list[np.ndarray]:
    shape = (batch, *[size.dim_value for size in model.graph.input[0].type.tensor_type.shape.dim[1:]])
    pictures = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return list(session.run(None, {"image": pictures}))


def test_prepared_graph_computes_the_same_for_every_batch() -> None:
    for side, target in ((28, 16), (17, 14), (224, 128), (8, 14)):
        model = traced_like(side, target)
        for batch in (1, 3):
            for found, expected in zip(run(prepare_graph(model), batch), run(model, batch), strict=True):
                np.testing.assert_allclose(found, expected, atol=1e-3)


def test_sizes_are_constants_and_kept_means_are_pools() -> None:
    prepared = prepare_graph(traced_like())
    operators = [node.op_type for node in prepared.graph.node]
    assert operators == ["Cast", "Resize", "GlobalAveragePool", "ReduceMean"]
    assert {tensor.name for tensor in prepared.graph.initializer} == {"Resize_3_factors", "axes"}
    assert index_graph(prepared).shapes["small"] == (None, 3, 16, 16)


def test_preparing_twice_changes_nothing(small_network: ModelProto) -> None:
    for model in (traced_like(), small_network):
        once = prepare_graph(model)
        assert prepare_graph(once).SerializeToString(deterministic=True) == once.SerializeToString(deterministic=True)


def test_the_given_model_stays_as_it_is() -> None:
    model = traced_like()
    before = model.SerializeToString()
    prepare_graph(model)
    assert model.SerializeToString() == before
