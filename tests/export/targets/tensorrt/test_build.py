"""ONNX file -> plan on a double of the device: what is written, what is refused, and that PyTorch is not needed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from tinydf_export.cli import build_plan
from tinydf_export.cli import export as cli
from tinydf_export.parity.golden import encode_crops
from tinydf_export.parity.verify import verify_model
from tinydf_export.targets.tensorrt.build import build_from_onnx
from tinydf_export.targets.tensorrt.options import PlanOptions
from tinydf_runtime.errors import ModelFileError, QualityError, UnavailableError, UsageError
from tinydf_runtime.faces.crop import CropConfig
from tinydf_runtime.models.plan import read_plan
from tinydf_runtime.models.spec import GOLDEN_KEY, METADATA_KEY, ModelSpec

SIDE = 32


@pytest.fixture
def ready(make_classifier: Callable[..., Path], tmp_path: Path) -> Path:
    """An ONNX file as the exporter leaves it, with golden crops."""
    return write_ready(make_classifier, tmp_path)


def write_ready(make_classifier: Callable[..., Path], folder: Path, shift: float = 0.0) -> Path:
    golden = np.random.default_rng(3).integers(0, 256, (5, SIDE, SIDE, 3)).astype(np.uint8)
    text, sha256 = encode_crops(golden)
    spec = ModelSpec(name="tiny-green", crop=CropConfig(side_px=SIDE), golden_sha256=sha256)
    expected = tuple(float(value) + shift for value in golden[..., 1].mean(axis=(1, 2)) / 255)
    spec = replace(spec, golden_probability=expected)
    path = folder / "ready.onnx"
    path.write_bytes(make_classifier(spec, {METADATA_KEY: spec.to_json(), GOLDEN_KEY: text}).read_bytes())
    return path


def run(*arguments: object) -> Result:
    """Runs the command's old name, ``tinydf-export --from-onnx``."""
    return CliRunner().invoke(cli.main, [str(argument) for argument in arguments])


def build(*arguments: object) -> Result:
    return CliRunner().invoke(build_plan.main, [str(argument) for argument in arguments])


def test_command_builds_a_plan_that_verify_accepts(tensorrt_machine: Any, ready: Path, tmp_path: Path) -> None:
    out, figures = tmp_path / "model.plan", tmp_path / "figures.json"
    result = run("--from-onnx", ready, "--target", "tensorrt", "--out", out, "--max-batch", 4, "--json", figures)
    assert result.exit_code == 0, result.output
    assert "5 golden crops, on this device" in result.stdout
    plan, facts = read_plan(out)
    assert json.loads(plan)["profile"]["image"][2][0] == 4
    assert (facts.tensorrt, facts.device) == (tensorrt_machine.version, "Orin (sm_87)")
    assert json.loads(figures.read_text())["verification"]["max_difference"] < 1e-4
    assert verify_model(out, "cuda").passed
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "figures.json", "model.plan", "model.plan.json", "ready.onnx",
    ]  # fmt: skip


def test_the_plan_is_named_after_its_file_and_equals_the_old_command_s(
    tensorrt_machine: Any, ready: Path, tmp_path: Path
) -> None:
    assert build(ready, "--max-batch", 4, "--quiet").output == ""
    assert (
        run("--from-onnx", ready, "--target", "tensorrt", "--out", tmp_path / "old.plan", "--max-batch", 4).exit_code
        == 0
    )
    assert (tmp_path / "ready.plan").read_bytes() == (tmp_path / "old.plan").read_bytes()
    assert verify_model(tmp_path / "ready.plan", "cuda").passed


def test_the_file_must_be_there_and_the_plan_have_its_ending(ready: Path, tmp_path: Path) -> None:
    missing = build(tmp_path / "none.onnx")
    assert missing.exit_code == 6 and missing.stderr.startswith("tinydf-build-plan: ")
    assert build(ready, "--out", tmp_path / "model.engine").exit_code == 2


def test_plan_that_differs_exits_3_and_leaves_nothing(
    tensorrt_machine: Any, make_classifier: Callable[..., Path], tmp_path: Path
) -> None:
    source = write_ready(make_classifier, tmp_path, shift=0.01)
    result = run("--from-onnx", source, "--target", "tensorrt", "--out", tmp_path / "model.plan")
    assert result.exit_code == int(QualityError.exit_code) == 3
    assert result.stderr.startswith("tinydf-export: model.plan: differs from its checkpoint by 0.01 on this device")
    assert [path.name for path in tmp_path.iterdir()] == ["ready.onnx"]


def test_timing_cache_is_read_and_written(tensorrt_machine: Any, ready: Path, tmp_path: Path) -> None:
    options = PlanOptions(timing_cache=tmp_path / "times.cache")
    for expected in (b"timed ", b"timed timed "):
        build_from_onnx(ready, tmp_path / "model.plan", options)
        assert (tmp_path / "times.cache").read_bytes() == expected


def test_options_reach_the_facts(tensorrt_machine: Any, ready: Path, tmp_path: Path) -> None:
    out = tmp_path / "model.plan"
    result = run(
        "--from-onnx", ready, "--target", "tensorrt", "--out", out, "--dla-core", 1, "--version-compatible"
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    facts = read_plan(out)[1]
    assert (facts.dla_core, facts.version_compatible) == (1, True)
    assert verify_model(out, "cuda").passed and tensorrt_machine.host_code


def test_device_without_gpu_is_told_before_anything_is_built(
    tensorrt_machine: Any, ready: Path, tmp_path: Path
) -> None:
    tensorrt_machine.driver_status = 35
    with pytest.raises(UnavailableError, match="cudaErrorInsufficientDriver"):
        build_from_onnx(ready, tmp_path / "model.plan")
    assert not (tmp_path / "model.plan").exists()


def test_foreign_onnx_file_is_refused(tiny_classifier: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="no golden crops"):
        build_from_onnx(tiny_classifier, tmp_path / "model.plan")
    with pytest.raises(UsageError, match=r"ends in \.plan"):
        build_from_onnx(tiny_classifier, tmp_path / "model.engine")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "onnx", "--from-onnx", "a.onnx", "--out", "m.onnx"], "expected tensorrt"),
        (["--target", "onnx", "--dla-core", "0", "--out", "m.onnx"], "expected tensorrt"),
        (["--target", "tensorrt", "--from-onnx", "a.onnx", "--int8", "--out", "m.plan"], "--from-onnx"),
        (["--target", "tensorrt", "--from-onnx", "a.onnx", "c.safetensors", "--out", "m.plan"], "--from-onnx"),
    ],
)
def test_options_that_contradict_each_other_are_usage_errors(arguments: list[str], message: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2 and message in result.stderr and result.stderr.count("\n") == 1


def test_building_on_the_device_imports_neither_torch_nor_onnx(ready: Path) -> None:
    code = (
        "import sys\n"
        "for name in ('torch', 'onnx', 'onnxscript', 'tinydf', 'tinydf_calibration', 'skimage'):\n"
        "    sys.modules[name] = None\n"
        "sys.modules['tensorrt'] = None\n"
        "from tinydf_export.cli.build_plan import main\n"
        f"main([{str(ready)!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    # It comes as far as TensorRT, which is not here.
    assert done.returncode == 4, done.stderr
    assert "tensorrt" in done.stderr and "pip install -c constraints.txt '.[tensorrt]'" in done.stderr
