"""A new target is one file in ``targets`` and one line in its table; every target keeps to one protocol."""

from __future__ import annotations

import sys
from pathlib import Path

import onnx
import pytest
from click.testing import CliRunner

pytest.importorskip("coremltools")
pytest.importorskip("openvino")

from tinydf_export import ExportedModel, runner, targets
from tinydf_export.cli.export import main
from tinydf_export.targets import onnx as onnx_target
from tinydf_export.targets import web
from tinydf_export.targets.coreml import target as coreml
from tinydf_export.targets.openvino import target as openvino
from tinydf_export.targets.protocol import TargetModule
from tinydf_export.targets.table import TARGETS, Target
from tinydf_export.targets.tensorrt import target as tensorrt

FILE = '''"""ONNX file under another ending."""

from tinydf_export.targets.onnx import quantise, write

__all__ = ["quantise", "write"]
'''

MODULES: dict[str, TargetModule] = {
    "onnx": onnx_target,
    "openvino": openvino,
    "coreml": coreml,
    "tensorrt": tensorrt,
    "web": web,
}
"""That each keeps to the protocol is checked by mypy, as this line is."""


def test_every_row_of_the_table_names_its_module() -> None:
    named = {name: f"tinydf_export.targets.{row.module}" for name, row in TARGETS.items()}
    assert named == {name: getattr(module, "__name__", "") for name, module in MODULES.items()}


def test_a_new_target_is_one_file_and_one_line(
    checkpoint_path: Path,
    plain_model: onnx.ModelProto,
    exported: ExportedModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "targets"
    folder.mkdir()
    (folder / "copied.py").write_text(FILE)
    monkeypatch.setattr(targets, "__path__", [*targets.__path__, str(folder)])
    monkeypatch.setitem(TARGETS, "copied", Target("copied", "export", ".copied", ("fp32",)))
    monkeypatch.setattr(runner, "build_float_graph", lambda checkpoint: plain_model)
    out = tmp_path / "model.copied"
    try:
        done = CliRunner().invoke(main, [str(checkpoint_path), "--target", "copied", "--out", str(out)])
    finally:
        sys.modules.pop("tinydf_export.targets.copied", None)
    assert done.exit_code == 0, done.output
    assert out.read_bytes() == exported.path.read_bytes()
