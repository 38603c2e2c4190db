"""ONNX files of lower precision: the whole way from the checkpoint, and back through verify and layer comparison."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import ModelProto, numpy_helper

from tinydf.checkpoint import Checkpoint
from tinydf_calibration.graph import index_graph
from tinydf_calibration.layers import largest_values
from tinydf_calibration.quantize import quantizable_tensors, select_nodes
from tinydf_calibration.regions import clip_behind
from tinydf_calibration.schemes import QDQ_SCHEMES
from tinydf_calibration.table import CalibrationTable
from tinydf_export import ExportedModel, ExportRequest, runner
from tinydf_export.cli import verify
from tinydf_export.graph.typed import scan_half
from tinydf_export.parity.golden import draw_golden_crops
from tinydf_export.parity.layers import compare_files
from tinydf_export.targets.onnx import OnnxDraft
from tinydf_runtime.errors import QualityError, StaleTableError, UsageError

pytestmark = pytest.mark.usefixtures("traced_once")


@pytest.fixture(scope="module")
def table(
    checkpoint: Checkpoint, plain_model: ModelProto, make_table: Callable[..., CalibrationTable]
) -> CalibrationTable:
    """Ranges of the golden crops, as symmetric as the network's random weights are."""
    crops = draw_golden_crops(checkpoint.spec.crop)
    largest = largest_values(plain_model, quantizable_tensors(plain_model), crops)
    return make_table({name: (-value, value) for name, value in largest.items()})


@pytest.fixture(scope="module")
def int8(
    checkpoint: Checkpoint, table: CalibrationTable, traced_once: None, tmp_path_factory: pytest.TempPathFactory
) -> ExportedModel:
    """An INT8 export, not held to bounds; see ``unbounded``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tinydf_export.parity.report.require_parity", lambda found, precision: None)
        path = tmp_path_factory.mktemp("int8") / "random.onnx"
        return runner.run(ExportRequest(checkpoint, "onnx", path, precision="int8", table=table))


@pytest.fixture
def unbounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A random network is no measure of what lower precisions lose: its golden crops are not held to bounds."""
    monkeypatch.setattr("tinydf_export.parity.report.require_parity", lambda found, precision: None)


def test_int8_file_is_small_says_so_and_keeps_its_table(int8: ExportedModel, table: CalibrationTable) -> None:
    assert int8.size_bytes == int8.path.stat().st_size < 6_300_000
    assert (int8.spec.precision, int8.spec.calibration_sha256) == ("int8", table.sha256())
    assert int8.spec.proof["golden"]["crops"] == 5


def test_int8_weights_are_stored_in_8_bit_and_energies_are_not(int8: ExportedModel) -> None:
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(int8.path).graph.initializer}
    sizes = {kind: sum(v.size for v in stored.values() if v.dtype == kind) for kind in (np.int8, np.float32)}
    assert sizes[np.int8] > 20 * sizes[np.float32]
    assert {name for name in stored if name.startswith("network.residual.")} >= {"network.residual.merged"}


def test_int8_is_written_in_equal_bytes(
    int8: ExportedModel, checkpoint: Checkpoint, table: CalibrationTable, unbounded: None, tmp_path: Path
) -> None:
    again = runner.run(ExportRequest(checkpoint, "onnx", tmp_path / "again.onnx", precision="int8", table=table))
    assert again.path.read_bytes() == int8.path.read_bytes()


def test_int8_without_a_table_and_with_a_stale_one_are_refused(
    checkpoint: Checkpoint, table: CalibrationTable, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="tinydf-calibrate"):
        runner.run(ExportRequest(checkpoint, "onnx", tmp_path / "m.onnx", precision="int8"))
    with pytest.raises(StaleTableError):
        runner.run(
            ExportRequest(
                checkpoint, "onnx", tmp_path / "m.onnx", precision="int8", table=replace(table, graph_sha256="0" * 64)
            )
        )
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_range_is_refused_by_the_name_of_its_layer(
    checkpoint: Checkpoint, plain_model: ModelProto, table: CalibrationTable, tmp_path: Path
) -> None:
    index = index_graph(plain_model)
    chosen = select_nodes(index, table, QDQ_SCHEMES["onnxruntime"])
    first = next(node for node in index.nodes if node.op_type == "Conv" and node.name in chosen)
    clip = clip_behind(first, index)
    assert clip is not None
    wrong = replace(table, ranges={**table.ranges, clip.output[0]: (-1e-4, 1e-4)})
    with pytest.raises(QualityError, match=f"first bad layer is {clip.name} "):
        runner.run(ExportRequest(checkpoint, "onnx", tmp_path / "m.onnx", precision="int8", table=wrong))
    assert list(tmp_path.iterdir()) == []


def test_fp16_keeps_every_layer_and_tells_its_largest_value(
    checkpoint: Checkpoint, exported: ExportedModel, unbounded: None, tmp_path: Path
) -> None:
    found = runner.run(ExportRequest(checkpoint, "onnx", tmp_path / "half.onnx", precision="fp16"))
    assert 0 < found.spec.proof["half"]["largest"] < 65504
    assert found.size_bytes < 12_000_000
    layers = compare_files(found.path, exported.path)
    # Powers of the splines' distances are nearly all zero, so that a small difference is large beside them.
    assert {layer.operator for layer in layers if not layer.good} <= {"Mul"}
    assert sum(layer.good for layer in layers) > 0.97 * len(layers)


def test_a_layer_beyond_float16_is_named(checkpoint: Checkpoint, plain_model: ModelProto) -> None:
    huge = ModelProto()
    huge.CopyFrom(plain_model)
    bias = next(tensor for tensor in huge.graph.initializer if tensor.name == "network.backbone.conv_stem.bias")
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + np.float32(60000), bias.name))
    first = next(node for node in huge.graph.node if bias.name in node.input)
    weight = next(tensor for tensor in huge.graph.initializer if tensor.name == first.input[1])
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(1e5), weight.name))
    with pytest.raises(QualityError, match=f"layer {first.name}: reaches"):
        scan_half(huge, draw_golden_crops(checkpoint.spec.crop)[:1])


def test_layers_of_two_files_are_compared(int8: ExportedModel, exported: ExportedModel) -> None:
    layers = compare_files(int8.path, exported.path)
    assert len(layers) > 100
    assert all(layer.finite for layer in layers)
    first = next(layer for layer in layers if layer.operator == "Conv")
    assert first.snr_db > 30
    shown = CliRunner().invoke(verify.main, [str(exported.path), "--layers", str(exported.path)])
    assert shown.exit_code == 0, shown.output
    assert "no bad layer" in shown.stdout


def test_layers_of_two_checkpoints_are_not(exported: ExportedModel, tmp_path: Path) -> None:
    other = tmp_path / "other.onnx"
    other.write_bytes(
        OnnxDraft(onnx.load(exported.path), "[]").pack(replace(exported.spec, checkpoint_sha256="f" * 64))
    )
    with pytest.raises(UsageError, match="was made from checkpoint ffffffffffff"):
        compare_files(exported.path, other)
