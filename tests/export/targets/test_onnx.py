from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from tinydf.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from tinydf.evaluation.operating_point import OperatingPoint, store_operating_point
from tinydf.evaluation.scoring import open_scorer
from tinydf_export import ExportedModel, ExportRequest, runner
from tinydf_export.graph import float_graph
from tinydf_export.graph.float_graph import Traceable
from tinydf_export.parity.golden import draw_golden_crops
from tinydf_export.parity.report import MAX_MAP_DIFFERENCE, score_eagerly
from tinydf_export.targets import onnx as to_onnx
from tinydf_runtime.engines.loading import open_engine
from tinydf_runtime.errors import QualityError
from tinydf_runtime.models.spec import METADATA_KEY, ModelSpec


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_exported_equals_eager(checkpoint: Checkpoint, exported: ExportedModel, batch: int) -> None:
    crops = draw_golden_crops(checkpoint.spec.crop)[:batch]
    eager = score_eagerly(checkpoint, crops)
    scores = open_engine(exported.path, threads=1).score(crops)
    np.testing.assert_allclose(scores.fake_probability, eager.fake_probability, atol=1e-4, rtol=0)
    np.testing.assert_allclose(scores.forgery_map, eager.forgery_map, atol=MAX_MAP_DIFFERENCE["fp32"], rtol=0)


def test_golden_probabilities_of_the_fixture_spread(exported: ExportedModel) -> None:
    assert np.ptp(exported.spec.golden_probability) > 0.5


def test_file_has_the_promised_inputs_and_outputs(exported: ExportedModel) -> None:
    graph = onnx.load(exported.path).graph

    def facts(value: onnx.ValueInfoProto) -> tuple[str, int, list[str | int]]:
        tensor = value.type.tensor_type
        return value.name, tensor.elem_type, [dim.dim_param or dim.dim_value for dim in tensor.shape.dim]

    assert [facts(value) for value in graph.input] == [("image", onnx.TensorProto.UINT8, ["batch", 3, 224, 224])]
    assert [facts(value) for value in graph.output] == [
        ("fake_probability", onnx.TensorProto.FLOAT, ["batch"]),
        ("forgery_map", onnx.TensorProto.FLOAT, ["batch", 14, 14]),
    ]


def test_file_is_checked_whole_and_of_its_opset(exported: ExportedModel) -> None:
    model = onnx.load(exported.path, load_external_data=False)
    onnx.checker.check_model(model, full_check=True)
    assert [(item.domain, item.version) for item in model.opset_import] == [("", 18)]
    assert not any(tensor.external_data for tensor in model.graph.initializer)
    norms = [" ".join(node.input) for node in model.graph.node if node.op_type == "BatchNormalization"]
    # Those of the head work on pooled features, and one on noise-residual features that no convolution made.
    assert all("head" in inputs or "residual.compare.0" in inputs for inputs in norms)


def test_file_fits_into_the_package(exported: ExportedModel) -> None:
    assert exported.size_bytes == exported.path.stat().st_size < 12_000_000


def tensors(model: onnx.ModelProto) -> dict[str, NDArray[Any]]:
    return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def test_compact_weights_are_the_plain_ones_bit_for_bit(plain_model: onnx.ModelProto, exported: ExportedModel) -> None:
    plain, compact = tensors(plain_model), tensors(onnx.load(exported.path))
    halves = [name for name in compact if name.endswith(".half")]
    assert sum(compact[name].size for name in halves) > 0.97 * sum(value.size for value in plain.values())
    for name in halves:
        weight = name.removesuffix(".half")
        product = compact[name].astype(np.float32) * compact.get(f"{weight}.scale", np.float32(1))
        np.testing.assert_array_equal(product, plain[weight])


def test_compact_model_computes_what_the_plain_one_does(
    checkpoint: Checkpoint, plain_model: onnx.ModelProto, exported: ExportedModel
) -> None:
    crops = draw_golden_crops(checkpoint.spec.crop).transpose(0, 3, 1, 2).copy()
    plain = onnxruntime.InferenceSession(plain_model.SerializeToString(), providers=["CPUExecutionProvider"])
    compact = onnxruntime.InferenceSession(exported.path, providers=["CPUExecutionProvider"])
    # The weights are equal to the bit; the engine merges other nodes where they are no plain tensors.
    for expected, found in zip(plain.run(None, {"image": crops}), compact.run(None, {"image": crops}), strict=True):
        np.testing.assert_allclose(found, expected, atol=2e-5)


def test_file_names_no_path_of_the_machine_that_made_it(exported: ExportedModel) -> None:
    content = exported.path.read_bytes()
    assert str(Path(to_onnx.__file__).parent).encode() not in content
    assert b"stack_trace" not in content


def test_spec_in_the_file_is_the_checkpoints_and_more(checkpoint: Checkpoint, exported: ExportedModel) -> None:
    spec = open_engine(exported.path).spec
    assert spec == exported.spec
    assert spec.checkpoint_sha256 == checkpoint.spec.checkpoint_sha256 != ""
    assert (spec.temperature, spec.precision) == (checkpoint.spec.temperature, "fp32")
    assert len(spec.golden_probability) == 5
    assert {"onnx", "torch", "opset"} <= set(spec.versions)
    metadata = {item.key: item.value for item in onnx.load(exported.path).metadata_props}
    assert ModelSpec.from_json(metadata[METADATA_KEY], "test") == spec


def test_temperature_divides_the_logit(checkpoint: Checkpoint) -> None:
    network = checkpoint.build()
    image = torch.from_numpy(draw_golden_crops(checkpoint.spec.crop)).permute(0, 3, 1, 2)
    with torch.no_grad():
        cold, _ = Traceable(network, 0.5)(image)
        warm, _ = Traceable(network, 1.0)(image)
    torch.testing.assert_close(torch.logit(cold), 2 * torch.logit(warm), atol=1e-2, rtol=1e-2)


def test_export_that_differs_leaves_no_file(
    checkpoint: Checkpoint, plain_model: onnx.ModelProto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = onnx.ModelProto()
    wrong.CopyFrom(plain_model)
    bias = next(tensor for tensor in wrong.graph.initializer if tensor.name == "network.backbone.conv_stem.bias")
    bias.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(bias) + np.float32(0.5), bias.name))
    monkeypatch.setattr(runner, "build_float_graph", lambda checkpoint: wrong)
    with pytest.raises(QualityError, match="differs from its checkpoint"):
        runner.run(ExportRequest(checkpoint, "onnx", tmp_path / "wrong.onnx"))
    assert list(tmp_path.iterdir()) == []


def test_fitted_temperature_and_threshold_are_in_the_export(
    checkpoint: Checkpoint, plain_model: onnx.ModelProto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Tracing takes long: the trace at hand divides by the fixture's temperature, so that is what is fitted here.
    fitted_temperature = checkpoint.spec.temperature
    traced: list[Traceable] = []

    def reuse_trace(network: Traceable, spec: ModelSpec) -> onnx.ModelProto:
        traced.append(network)
        return plain_model

    monkeypatch.setattr(float_graph, "trace", reuse_trace)
    unfitted, fitted, model = (tmp_path / name for name in ("a.safetensors", "b.safetensors", "b.onnx"))
    save_checkpoint(replace(checkpoint, spec=replace(checkpoint.spec, temperature=1.4)), unfitted, half=True)
    store_operating_point(OperatingPoint(fitted_temperature, 0.31, 0.1, 0.1, 50), unfitted, fitted, [])
    runner.run(ExportRequest(load_checkpoint(fitted), "onnx", model))
    assert [network.temperature for network in traced] == [fitted_temperature]
    engine = open_engine(model)
    assert (engine.spec.temperature, engine.spec.threshold) == (fitted_temperature, 0.31)
    crops = draw_golden_crops(checkpoint.spec.crop)
    expected = open_scorer(unfitted).logits(crops) * 1.4 / fitted_temperature
    assert open_scorer(fitted).logits(crops) == pytest.approx(expected, abs=1e-5)
    assert open_scorer(model).logits(crops) == pytest.approx(expected, abs=3e-3)


def test_checkpoint_and_its_export_score_alike(
    checkpoint_path: Path, exported: ExportedModel, checkpoint: Checkpoint
) -> None:
    crops = draw_golden_crops(checkpoint.spec.crop)
    eager, engine = open_scorer(checkpoint_path), open_scorer(exported.path)
    assert engine.logits(crops) == pytest.approx(eager.logits(crops), abs=3e-3)
    assert np.ptp(eager.logits(crops)) > 0.5
    assert engine.spec.threshold == eager.spec.threshold
