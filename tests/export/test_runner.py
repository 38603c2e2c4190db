"""What a request cannot ask for is told before tracing; a new target is one file and one line of the table."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
from click.testing import CliRunner

pytest.importorskip("coremltools")
pytest.importorskip("openvino")

from tinydf.checkpoint import Checkpoint
from tinydf_export import ExportedModel, ExportRequest, run, runner, targets
from tinydf_export.cli.export import main
from tinydf_export.targets import onnx as onnx_target
from tinydf_export.targets import web
from tinydf_export.targets.coreml import target as coreml
from tinydf_export.targets.openvino import target as openvino
from tinydf_export.targets.protocol import TargetModule
from tinydf_export.targets.table import TARGETS, Target
from tinydf_export.targets.tensorrt import target as tensorrt
from tinydf_export.targets.tensorrt.options import PlanOptions
from tinydf_runtime.errors import UsageError
from tinydf_runtime.models.spec import ModelSpec

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


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target": "tensort"}, "Did you mean tensorrt"),
        ({"out": Path("m.xml")}, r"ends in \.onnx"),
        ({"precision": "w8"}, "expected one of fp32, fp16, int8"),
        ({"precision": "int8"}, "needs ranges"),
        ({"plan": PlanOptions()}, "options of a TensorRT plan"),
    ],
)
def test_contradictions_are_told_before_anything_is_traced(
    changes: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trace(checkpoint: Checkpoint) -> None:
        raise AssertionError("traced")

    monkeypatch.setattr(runner, "build_float_graph", trace)
    monkeypatch.chdir(tmp_path)
    request = ExportRequest(Checkpoint({}, {}, ModelSpec(name="any")), "onnx", Path("m.onnx"))
    with pytest.raises(UsageError, match=message):
        run(replace(request, **changes))
    with pytest.raises(AssertionError, match="traced"):
        run(request)
    assert not list(tmp_path.iterdir())
