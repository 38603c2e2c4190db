from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

from tinydf_calibration.quantize import quantizable_layers
from tinydf_export.graph.weight_only import compress_weights


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
