from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from click import Command
from click.testing import CliRunner, Result

from tinydf.data.drawn_faces import write_drawn_faces
from tinydf.data.photos import read_photos
from tinydf_export import ExportedModel, ExportRequest, runner
from tinydf_export.cli import export as cli
from tinydf_export.cli import verify
from tinydf_export.parity import report
from tinydf_runtime.errors import QualityError
from tinydf_runtime.models.spec import ModelSpec


def run_export(*arguments: object) -> Result:
    return CliRunner().invoke(cli.main, [str(argument) for argument in arguments])


def run_verify(*arguments: object) -> Result:
    return CliRunner().invoke(verify.main, [str(argument) for argument in arguments])


def assert_one_line_error(result: Result, command: str, code: int) -> None:
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert result.stderr.startswith(f"{command}: ")
    assert result.stderr.count("\n") == 1


def test_export_writes_a_model_that_verify_accepts(
    checkpoint_path: Path, exported: ExportedModel, tmp_path: Path
) -> None:
    out, figures = tmp_path / "model.onnx", tmp_path / "figures.json"
    result = run_export(checkpoint_path, "--target", "onnx", "--out", out, "--json", figures)
    assert result.exit_code == 0, result.output
    assert "golden crops" in result.stdout
    written = json.loads(figures.read_text())
    assert written["size_bytes"] == out.stat().st_size
    assert written["parity"]["max_difference"] <= 1e-4
    verified = run_verify(out)
    assert verified.exit_code == 0, verified.output
    assert "largest difference" in verified.stdout
    # The same checkpoint gives the same bytes, however often it is traced.
    assert out.read_bytes() == exported.path.read_bytes()


def test_a_photo_that_cannot_be_read_is_left_out_named_and_exits_5(
    checkpoint_path: Path, plain_model: onnx.ModelProto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "build_float_graph", lambda checkpoint: plain_model)
    faces, out = tmp_path / "faces", tmp_path / "model.onnx"
    write_drawn_faces(faces, 8)
    held_out = [photo.path for photo in read_photos(faces, "val")]
    held_out[0].write_bytes(held_out[0].read_bytes()[:20])
    result = run_export(checkpoint_path, "--target", "onnx", "--out", out, "--data", faces, "--max-auc-drop", 1)
    assert result.exit_code == 5, result.output
    assert out.is_file() and "given crops" in result.stdout
    (line,) = result.stderr.splitlines()
    assert line.startswith("tinydf-export: ") and "left out" in line and held_out[0].name in line


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--target", "tensorrt", "--out", "m.onnx"], "ends in .plan"),
        (["--target", "nonsense", "--out", "m.onnx"], "expected one of onnx"),
        (["--target", "tensort", "--out", "m.plan"], "Did you mean tensorrt?"),
        (["--target", "onnx", "--out", "m.xyz"], "ends in .onnx"),
        (["--target", "onnx", "--out", "no/such/folder/m.onnx"], "folder"),
    ],
)
def test_wrong_targets_and_names_are_usage_errors(arguments: list[str], complaint: str) -> None:
    result = run_export(*arguments)
    assert_one_line_error(result, "tinydf-export", 2)
    assert complaint in result.stderr


@pytest.mark.parametrize("arguments", [[], ["--target", "onnx"], ["--target", "onnx", "--out", "m.onnx", "--int4"]])
def test_missing_and_unknown_options_are_usage_errors(arguments: list[str]) -> None:
    assert_one_line_error(run_export(*arguments), "tinydf-export", 2)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--int8", "--fp16"], "found both"),
        (["--calibration", "table.json"], "Add --int8"),
    ],
)
def test_precisions_that_contradict_each_other_say_what_to_do(options: list[str], complaint: str) -> None:
    result = run_export("--target", "onnx", "--out", "m.onnx", *options)
    assert_one_line_error(result, "tinydf-export", 2)
    assert complaint in result.stderr


def test_int8_of_an_own_checkpoint_needs_something_to_calibrate_on(checkpoint_path: Path, tmp_path: Path) -> None:
    result = run_export(checkpoint_path, "--target", "onnx", "--int8", "--out", tmp_path / "m.onnx")
    assert_one_line_error(result, "tinydf-export", 2)
    assert "needs --calibration TABLE, or --data FACES" in result.stderr


def test_missing_table_is_not_trusted(checkpoint_path: Path, tmp_path: Path) -> None:
    table = tmp_path / "none.json"
    out = tmp_path / "m.onnx"
    result = run_export(checkpoint_path, "--target", "onnx", "--int8", "--calibration", table, "--out", out)
    assert_one_line_error(result, "tinydf-export", 6)
    assert "tinydf-calibrate" in result.stderr


def test_missing_checkpoint_is_an_input_error(tmp_path: Path) -> None:
    result = run_export(tmp_path / "none.safetensors", "--target", "onnx", "--out", tmp_path / "m.onnx")
    assert_one_line_error(result, "tinydf-export", 5)


def test_damaged_checkpoint_is_not_trusted(tmp_path: Path) -> None:
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"\0" * 100)
    result = run_export(broken, "--target", "onnx", "--out", tmp_path / "m.onnx")
    assert_one_line_error(result, "tinydf-export", 6)


def test_export_that_differs_exits_3_and_leaves_no_file(
    checkpoint_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(request: ExportRequest) -> ExportedModel:
        report.require_parity(report.Parity(5, 0.5, 0.5, 0.0, 2), "fp32")
        raise AssertionError

    monkeypatch.setattr(runner, "run", refuse)
    result = run_export(checkpoint_path, "--target", "onnx", "--out", tmp_path / "m.onnx")
    assert_one_line_error(result, "tinydf-export", int(QualityError.exit_code))
    assert list(tmp_path.iterdir()) == []


def test_verify_exits_3_and_still_shows_the_figures(
    exported: ExportedModel, with_spec: Callable[[ModelSpec], Path]
) -> None:
    shifted = replace(exported.spec, golden_probability=(0.5,) * 5)
    result = run_verify(with_spec(shifted))
    assert result.exit_code == 3
    assert "0.500000" in result.stdout
    assert result.stderr.startswith("tinydf-verify: changed.onnx: differs")


def test_verify_exits_6_on_a_damaged_file(exported: ExportedModel, tmp_path: Path) -> None:
    path = tmp_path / "cut.onnx"
    path.write_bytes(exported.path.read_bytes()[:5000])
    assert_one_line_error(run_verify(path), "tinydf-verify", 6)


def test_verify_prints_json_alone_on_standard_output(exported: ExportedModel) -> None:
    result = run_verify(exported.path, "--json")
    figures = json.loads(result.stdout)
    assert figures["passed"] is True
    assert len(figures["found"]) == len(figures["expected"]) == 5


def test_verify_quiet_prints_nothing(exported: ExportedModel) -> None:
    result = run_verify(exported.path, "--quiet")
    assert (result.exit_code, result.output) == (0, "")


def test_unwritable_figures_exit_7(exported: ExportedModel, tmp_path: Path) -> None:
    result = run_verify(exported.path, "--json", tmp_path / "no" / "folder.json")
    assert_one_line_error(result, "tinydf-verify", 7)


@pytest.mark.parametrize("command", [cli.main, verify.main])
def test_help_shows_an_example_and_version_works(command: Command) -> None:
    assert "Example: tinydf-" in CliRunner().invoke(command, ["--help"]).stdout
    assert CliRunner().invoke(command, ["--version"]).exit_code == 0
