"""Graph -> plan: on a double of the device, and without one. The network is small, so that tracing takes no time."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from tinydf.checkpoint import Checkpoint
from tinydf_calibration.table import CalibrationTable, graph_hash
from tinydf_export import ExportRequest, runner
from tinydf_export.parity import report
from tinydf_export.targets.tensorrt import target as to_tensorrt
from tinydf_runtime.engines.loading import open_engine
from tinydf_runtime.errors import QualityError, UnavailableError
from tinydf_runtime.faces.crop import CropConfig
from tinydf_runtime.models.plan import read_plan
from tinydf_runtime.models.spec import METADATA_KEY, ModelSpec, Precision
from tinydf_runtime.types import Scores

SIDE = 32
CHECKPOINT = Checkpoint({}, {}, ModelSpec(name="small", crop=CropConfig(side_px=SIDE)))


@pytest.fixture(autouse=True)
def small_network(small_graph: onnx.ModelProto, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts ``small_graph`` in place of the checkpoint's network."""
    session = onnxruntime.InferenceSession(small_graph.SerializeToString(), providers=["CPUExecutionProvider"])

    def score(checkpoint: Checkpoint, crops: np.ndarray) -> Scores:
        planes = np.ascontiguousarray(crops.transpose(0, 3, 1, 2))
        return Scores(*session.run(["fake_probability", "forgery_map"], {"image": planes}))

    monkeypatch.setattr(runner, "build_float_graph", lambda checkpoint: small_graph)
    monkeypatch.setattr(report, "score_eagerly", score)


@pytest.fixture
def table(small_graph: onnx.ModelProto, small_table: CalibrationTable) -> CalibrationTable:
    return replace(small_table, graph_sha256=graph_hash(small_graph), crop_sha256=CHECKPOINT.spec.crop.sha256())


def without_device(folder: Path, precision: Precision, table: CalibrationTable | None) -> tuple[bytes, str]:
    """Exports where TensorRT is missing; returns the ONNX file's bytes and the message."""
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch, pytest.raises(UnavailableError) as caught:
        patch.setitem(sys.modules, "tensorrt", None)
        runner.run(ExportRequest(CHECKPOINT, "tensorrt", folder / "model.plan", precision=precision, table=table))
    assert [path.name for path in folder.iterdir()] == ["model.onnx"]
    return (folder / "model.onnx").read_bytes(), str(caught.value)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_without_a_device_the_proven_file_and_the_last_command_are_left(
    table: CalibrationTable, tmp_path: Path, precision: Precision
) -> None:
    content, message = without_device(tmp_path / "once", precision, table)
    assert message.endswith("On the device: tinydf-build-plan model.onnx --out model.plan")
    model = onnx.load_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    metadata = {item.key: item.value for item in model.metadata_props}
    spec = ModelSpec.from_json(metadata[METADATA_KEY], "model.onnx")
    assert spec.precision == precision and spec.proof["golden"]["crops"] == 5
    assert spec.versions["opset"] == ("18" if precision == "fp32" else "19")
    pairs = sum(node.op_type == "QuantizeLinear" for node in model.graph.node)
    halves = sum(tensor.data_type == onnx.TensorProto.FLOAT16 for tensor in model.graph.initializer)
    assert (pairs > 0, halves > 0) == (precision == "int8", precision != "fp32")
    # The same checkpoint and table give the same bytes.
    assert without_device(tmp_path / "again", precision, table)[0] == content


def test_with_a_device_the_plan_is_left_beside_what_it_was_built_from_and_runs(
    tensorrt_machine: Any, tmp_path: Path
) -> None:
    exported = runner.run(ExportRequest(CHECKPOINT, "tensorrt", tmp_path / "model.plan", precision="fp16"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.plan", "model.plan.json", "model.plan.onnx"]
    assert exported.spec == read_plan(exported.path)[1].spec
    assert exported.size_bytes == exported.path.stat().st_size
    assert open_engine(exported.path, "cuda").spec == exported.spec


def test_graph_that_loses_too_much_leaves_no_file(
    small_graph: onnx.ModelProto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(model: onnx.ModelProto) -> onnx.ModelProto:
        gemm = next(tensor for tensor in model.graph.initializer if tensor.name == "gemm_bias")
        gemm.CopyFrom(onnx.numpy_helper.from_array(np.full(1, 9, np.float32), "gemm_bias"))
        return model

    monkeypatch.setattr(to_tensorrt, "type_strongly", spoil)
    with pytest.raises(QualityError, match="differs from its checkpoint"):
        runner.run(ExportRequest(CHECKPOINT, "tensorrt", tmp_path / "model.plan", precision="fp16"))
    assert not list(tmp_path.iterdir())
