from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from tinydf_calibration.graph import index_graph
from tinydf_calibration.quantize import quantizable_layers
from tinydf_calibration.rounding import encode_moves
from tinydf_calibration.scales import quantize_weight
from tinydf_calibration.table import CalibrationTable
from tinydf_export.graph.compact import MIN_SIZE, compact_weights
from tinydf_export.graph.weight_only import compress_weights


def product_model(weight: NDArray[np.float32]) -> onnx.ModelProto:
    rows, columns = weight.shape
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["weight", "x"], ["y"])],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [columns])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [rows])],
        [numpy_helper.from_array(weight, "weight")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def stored(model: onnx.ModelProto) -> dict[str, np.dtype]:
    return {tensor.name: numpy_helper.to_array(tensor).dtype for tensor in model.graph.initializer}


def half_values(rows: int = 64, columns: int = 32) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=(rows, columns)).astype(np.float16).astype(np.float32)


def test_weight_and_scale_are_stored_apart_and_multiplied_in_the_graph() -> None:
    trained = half_values()
    scale = np.linspace(0.3, 1.7, 64, dtype=np.float32)
    model = product_model(trained * scale[:, None])
    compact = compact_weights(model, {"weight": (trained, scale)})
    onnx.checker.check_model(compact, full_check=True)
    assert stored(compact) == {"weight.half": np.float16, "weight.scale": np.float32}
    x = np.ones(32, np.float32)
    (y,) = ReferenceEvaluator(compact).run(None, {"x": x})
    (expected,) = ReferenceEvaluator(model).run(None, {"x": x})
    np.testing.assert_array_equal(y, expected)


def test_weight_without_scale_is_only_widened() -> None:
    trained = half_values()
    compact = compact_weights(product_model(trained), {"weight": (trained, None)})
    assert stored(compact) == {"weight.half": np.float16}
    assert [node.op_type for node in compact.graph.node] == ["Cast", "MatMul"]


def test_weight_that_is_not_the_product_stays() -> None:
    trained = half_values()
    off = trained.copy()
    off[0, 0] = np.nextafter(off[0, 0], np.float32(9))
    assert stored(compact_weights(product_model(off), {"weight": (trained, None)})) == {"weight": np.float32}


def test_values_beyond_float16_stay() -> None:
    trained = half_values() * np.float32(1e6)
    assert stored(compact_weights(product_model(trained), {"weight": (trained, None)})) == {"weight": np.float32}


def test_small_and_unknown_tensors_stay() -> None:
    small = half_values(MIN_SIZE // 32 - 1, 32)
    assert stored(compact_weights(product_model(small), {"weight": (small, None)})) == {"weight": np.float32}
    assert stored(compact_weights(product_model(half_values()), {})) == {"weight": np.float32}


def test_the_given_model_stays_as_it_is() -> None:
    trained = half_values()
    model = product_model(trained)
    before = model.SerializeToString()
    compact_weights(model, {"weight": (trained, None)})
    assert model.SerializeToString() == before


def test_weights_of_convolutions_are_stored_within_half_a_step(plain_model: onnx.ModelProto) -> None:
    compressed = compress_weights(plain_model, quantizable_layers(plain_model))
    onnx.checker.check_model(compressed)
    before = {tensor.name: numpy_helper.to_array(tensor) for tensor in plain_model.graph.initializer}
    after = {tensor.name: numpy_helper.to_array(tensor) for tensor in compressed.graph.initializer}
    layers = set(quantizable_layers(plain_model))
    convolutions = [node for node in plain_model.graph.node if node.op_type == "Conv" and node.name in layers]
    assert len(convolutions) > 50
    for node in convolutions:
        scale = after[f"{node.name}_weight_scale"].reshape(-1, 1, 1, 1)
        stored = after[f"{node.name}_weight_quantized"]
        assert stored.dtype == np.int8
        assert (np.abs(stored * scale - before[node.input[1]]) <= 0.5001 * scale).all()
        np.testing.assert_array_equal(scale.astype(np.float16).astype(np.float32), scale)
        assert node.input[1] not in after


def test_nothing_else_changes(plain_model: onnx.ModelProto) -> None:
    before = plain_model.SerializeToString(deterministic=True)
    compressed = compress_weights(plain_model, quantizable_layers(plain_model))
    assert plain_model.SerializeToString(deterministic=True) == before
    kinds = [node.op_type for node in compressed.graph.node if node.op_type != "DequantizeLinear"]
    assert kinds == [node.op_type for node in plain_model.graph.node]
    assert not any(node.op_type == "QuantizeLinear" for node in compressed.graph.node)


def test_a_tables_rounding_and_biases_are_those_of_the_stored_weights(plain_model: onnx.ModelProto) -> None:
    index = index_graph(plain_model)
    conv = next(node for node in index.nodes if node.op_type == "Conv" and node.name in quantizable_layers(plain_model))
    weight, bias = (index.constant(name).astype(np.float32) for name in conv.input[1:])
    moves = np.where(np.arange(weight.size).reshape(weight.shape) % 3, 0, -1).astype(np.int8)
    table = CalibrationTable(
        "", "", "", "", 1, "mse", {},
        weight_moves={conv.name: encode_moves(moves)}, bias_shifts={conv.name: (0.5,) * len(weight)},
    )  # fmt: skip
    compressed = compress_weights(plain_model, [conv.name], table)
    onnx.checker.check_model(compressed, full_check=True)
    after = {tensor.name: numpy_helper.to_array(tensor) for tensor in compressed.graph.initializer}
    np.testing.assert_array_equal(after[f"{conv.name}_weight_quantized"], quantize_weight(weight, moves=moves)[0])
    written = next(node for node in compressed.graph.node if node.name == conv.name)
    np.testing.assert_allclose(after[written.input[2]], bias + 0.5)
