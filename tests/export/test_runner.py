"""What a request cannot ask for is told before the network is traced."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tinydf.checkpoint import Checkpoint
from tinydf_export import ExportRequest, run, runner
from tinydf_export.targets.tensorrt.options import PlanOptions
from tinydf_runtime.errors import UsageError
from tinydf_runtime.models.spec import ModelSpec


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
