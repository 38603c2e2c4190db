"""The checkpoint and the table that come with TinyDF fit on any machine; where they do not, it is a defect."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import numpy_helper

from tinydf.checkpoint import Checkpoint, load_default
from tinydf_calibration.table import graph_hash, read_table
from tinydf_export import runner
from tinydf_export.cli import export as cli
from tinydf_export.inputs import gather
from tinydf_export.inputs.gather import SHIPPED_TABLE, check_table
from tinydf_runtime.errors import StaleTableError
from tinydf_runtime.models.spec import METADATA_KEY, ModelSpec


@pytest.fixture(scope="module")
def pair(trace_once: Callable[[Checkpoint], onnx.ModelProto]) -> tuple[Checkpoint, onnx.ModelProto]:
    """The shipped checkpoint and its float graph."""
    checkpoint = load_default()
    return checkpoint, trace_once(checkpoint)


def test_the_shipped_table_fits_however_the_folded_weights_round(pair: tuple[Checkpoint, onnx.ModelProto]) -> None:
    checkpoint, graph = pair
    moved = onnx.ModelProto()
    moved.CopyFrom(graph)
    folded = [tensor for tensor in moved.graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT]
    assert len(folded) > 50
    for tensor in folded:
        values = numpy_helper.to_array(tensor)
        tensor.CopyFrom(numpy_helper.from_array(np.nextafter(values, np.float32(np.inf)), tensor.name))
    for one in (graph, moved):
        assert graph_hash(one) == read_table(SHIPPED_TABLE).graph_sha256
        check_table(read_table(SHIPPED_TABLE), checkpoint, one)


def test_a_shipped_pair_that_does_not_fit_asks_for_a_bug_report(
    pair: tuple[Checkpoint, onnx.ModelProto], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint, graph = pair
    stale = replace(read_table(SHIPPED_TABLE), graph_sha256="0" * 64)
    # A table of one's own is calibrated again.
    with pytest.raises(StaleTableError, match="tinydf-calibrate"):
        check_table(stale, checkpoint, graph)
    path = tmp_path / "table.json"
    path.write_text(stale.to_json())
    monkeypatch.setattr(gather, "SHIPPED_TABLE", path)
    with pytest.raises(StaleTableError, match="report a bug") as caught:
        check_table(stale, checkpoint, graph)
    assert "tinydf-calibrate" not in str(caught.value) and "000000000000" in str(caught.value)
    assert caught.value.exit_code == 6


def test_without_a_gpu_the_first_command_leaves_the_proven_graph_and_the_line_for_the_device(
    pair: tuple[Checkpoint, onnx.ModelProto], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "build_float_graph", lambda checkpoint: pair[1])
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    out = tmp_path / "model.plan"
    result = CliRunner().invoke(cli.main, ["--target", "tensorrt", "--int8", "--out", str(out), "--quiet"])
    assert result.exit_code == 4
    assert result.stderr.count("\n") == 1
    assert "On the device: tinydf-build-plan model.onnx --out model.plan" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
    model = onnx.load(tmp_path / "model.onnx")
    metadata = {item.key: item.value for item in model.metadata_props}
    spec = ModelSpec.from_json(metadata[METADATA_KEY], "model.onnx")
    assert (spec.precision, spec.checkpoint_sha256) == ("int8", pair[0].spec.checkpoint_sha256)
    assert spec.calibration_sha256 == read_table(SHIPPED_TABLE).sha256()
    assert spec.proof["golden"]["crops"] > 0
    assert any(node.op_type == "QuantizeLinear" for node in model.graph.node)
