"""scripts/check_tensorrt.py on a double of the device, so that the script is whole when a device is at hand."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from tinydf_export.parity.golden import encode_crops
from tinydf_runtime.faces.crop import CropConfig
from tinydf_runtime.models.spec import GOLDEN_KEY, METADATA_KEY, ModelSpec

SIDE = 32


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    path = Path(__file__).resolve().parents[4] / "scripts" / "check_tensorrt.py"
    spec = importlib.util.spec_from_file_location("check_tensorrt", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ROUNDS", 3)
    monkeypatch.setattr(module.shutil, "which", lambda name, path=None: None)
    return module


@pytest.fixture
def ready(make_classifier: Callable[..., Path], tmp_path: Path) -> Path:
    golden = np.random.default_rng(3).integers(0, 256, (5, SIDE, SIDE, 3)).astype(np.uint8)
    text, sha256 = encode_crops(golden)
    expected = tuple(float(value) for value in golden[..., 1].mean(axis=(1, 2)) / 255)
    spec = ModelSpec(name="tiny", crop=CropConfig(side_px=SIDE), golden_sha256=sha256, golden_probability=expected)
    path = tmp_path / "fp32.onnx"
    path.write_bytes(make_classifier(spec, {METADATA_KEY: spec.to_json(), GOLDEN_KEY: text}).read_bytes())
    return path


def test_report_holds_plans_for_gpu_and_accelerator(
    tensorrt_machine: Any, script: ModuleType, ready: Path, tmp_path: Path
) -> None:
    out = tmp_path / "check"
    result = CliRunner().invoke(script.main, [str(ready), "--out", str(out), "--dla-core", "0"])
    assert result.exit_code == 0, result.output
    report = json.loads((out / "check.json").read_text())
    assert [(one["plan"], one["dla_core"]) for one in report["results"]] == [
        ("fp32.plan", None),
        ("fp32-dla0.plan", 0),
    ]
    for one in report["results"]:
        assert all(one["passed"].values()) and one["crops"] > 2 * 16 and one["tensorrt"] == tensorrt_machine.version


def test_difference_from_the_graph_exits_3_and_is_in_the_report(
    tensorrt_machine: Any, script: ModuleType, ready: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_graph = script.run_graph
    monkeypatch.setattr(script, "run_graph", lambda model, crops: run_graph(model, crops) + 0.2)
    out = tmp_path / "check"
    result = CliRunner().invoke(script.main, [str(ready), "--out", str(out)])
    assert result.exit_code == 3 and "fp32.plan: agreement with the graph" in result.stderr
    assert json.loads((out / "check.json").read_text())["results"][0]["passed"]["agreement with the graph"] is False
