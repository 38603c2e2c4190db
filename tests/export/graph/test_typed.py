from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from tinydf_calibration.graph import index_graph
from tinydf_calibration.quantize import quantize_model
from tinydf_calibration.schemes import QDQ_SCHEMES
from tinydf_calibration.table import CalibrationTable
from tinydf_export.graph.typed import OPSET, type_strongly
from tinydf_export.targets.onnx import OnnxDraft
from tinydf_runtime.engines.onnxruntime_engine import open_content
from tinydf_runtime.faces.crop import CropConfig
from tinydf_runtime.models.spec import ModelSpec

SIDE = 32


@pytest.fixture(scope="module")
def quantized(small_graph: ModelProto, small_table: CalibrationTable) -> ModelProto:
    return quantize_model(small_graph, small_table, QDQ_SCHEMES["tensorrt"])


def crops(count: int = 4) -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, (count, SIDE, SIDE, 3)).astype(np.uint8)


def probabilities(model: ModelProto) -> np.ndarray:
    return run_plainly(model, onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL)[0]


def run_plainly(model: ModelProto, level: onnxruntime.GraphOptimizationLevel) -> list[np.ndarray]:
    """Returns probabilities and forgery maps of ``crops()`` at a level of ONNX Runtime's optimisations."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    planes = np.ascontiguousarray(crops().transpose(0, 3, 1, 2))
    return [np.asarray(values) for values in session.run(["fake_probability", "forgery_map"], {"image": planes})]


def types(model: ModelProto) -> dict[str, int]:
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    return {v.name: v.type.tensor_type.elem_type for v in (*graph.input, *graph.value_info, *graph.output)}


@pytest.mark.parametrize("name", ["small_graph", "quantized"])
def test_typed_graph_is_valid_and_gives_what_it_gave(name: str, request: pytest.FixtureRequest) -> None:
    before: ModelProto = request.getfixturevalue(name)
    after = type_strongly(before)
    onnx.checker.check_model(after, full_check=True)
    assert after.opset_import[0].version == OPSET >= 19
    np.testing.assert_allclose(probabilities(after), probabilities(before), atol=5e-3)
    assert [(v.name, v.type) for v in (*after.graph.input, *after.graph.output)] == [
        (v.name, v.type) for v in (*before.graph.input, *before.graph.output)
    ]


def test_maps_are_float16_and_what_needs_range_is_float32(small_graph: ModelProto) -> None:
    found = types(type_strongly(small_graph))
    for name in ("one", "clipped", "two", "sum", "map", "pooled"):
        assert found[name] == TensorProto.FLOAT16, name
    for name in ("centred", "filtered", "absolute", "positive", "logarithm", "joined", "logit", "fake_probability"):
        assert found[name] == TensorProto.FLOAT, name


def test_operator_with_a_constant_that_float16_cannot_hold_stays_float32(small_graph: ModelProto) -> None:
    for value in (1e6, 1e-9):
        changed = ModelProto()
        changed.CopyFrom(small_graph)
        bound = next(tensor for tensor in changed.graph.initializer if tensor.name == "mean")
        index = next(i for i, node in enumerate(changed.graph.node) if node.op_type == "GlobalAveragePool")
        changed.graph.initializer.append(numpy_helper.from_array(np.array(value, np.float32), "extreme"))
        changed.graph.node[index].input[0] = "moved"
        changed.graph.node.insert(index, helper.make_node("Add", ["sum", "extreme"], ["moved"], name="extreme_add"))
        found = types(type_strongly(changed))
        assert found["moved"] == TensorProto.FLOAT and bound.name in {t.name for t in changed.graph.initializer}


def test_scales_in_float16_are_exactly_those_that_weights_were_rounded_with(quantized: ModelProto) -> None:
    index, typed = index_graph(quantized), index_graph(type_strongly(quantized))
    halves = [name for name in typed.constants if name.endswith("_scale_half")]
    assert len(halves) >= 4
    for name in halves:
        wide = index.constant(name.removesuffix("_half"))
        np.testing.assert_array_equal(typed.constant(name).astype(np.float32), wide)
        assert (wide.astype(np.float32) > 0).all()


def test_pairs_are_symmetric_signed_and_never_on_a_bias(quantized: ModelProto) -> None:
    typed = type_strongly(quantized)
    index = index_graph(typed)
    pairs = [node for node in typed.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert Counter(node.op_type for node in pairs)["QuantizeLinear"] >= 2
    for pair in pairs:
        stored = pair.input[0] if pair.op_type == "DequantizeLinear" else pair.output[0]
        zeros = [index.constant(name) for name in pair.input[2:]]
        assert all(zero.dtype == np.int8 and not zero.any() for zero in zeros)
        assert types(typed).get(stored, TensorProto.INT8) == TensorProto.INT8
    for conv in (node for node in typed.graph.node if node.op_type == "Conv"):
        for bias in conv.input[2:]:
            assert bias in index.constants


def test_typing_gives_equal_bytes_twice(quantized: ModelProto) -> None:
    first, second = type_strongly(quantized), type_strongly(quantized)
    assert first.SerializeToString(deterministic=True) == second.SerializeToString(deterministic=True)


def opened(typed: ModelProto, *, as_written: bool) -> np.ndarray:
    """Returns the forgery maps that the runtime's engine computes."""
    spec = ModelSpec(name="small", crop=CropConfig(side_px=SIDE))
    content = OnnxDraft(typed, "[]", as_written=as_written).pack(spec)
    return open_content(content, "m.onnx").score(crops()).forgery_map


@pytest.mark.parametrize("name", ["small_graph", "quantized"])
def test_runtime_computes_files_for_tensorrt_as_they_are_written(name: str, request: pytest.FixtureRequest) -> None:
    typed = type_strongly(request.getfixturevalue(name))
    found = run_plainly(typed, onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL)[1]
    np.testing.assert_array_equal(opened(typed, as_written=True), found)


def test_other_files_in_float16_are_fused(small_graph: ModelProto) -> None:
    typed = type_strongly(small_graph)
    fused = run_plainly(typed, onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL)[1]
    np.testing.assert_array_equal(opened(typed, as_written=False), fused)
    # Left to itself, ONNX Runtime computes parts of such a graph in float32.
    assert not np.array_equal(opened(typed, as_written=True), fused)
