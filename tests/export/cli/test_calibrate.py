from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from tinydf.checkpoint import Checkpoint
from tinydf.data.drawn_faces import write_drawn_faces
from tinydf_calibration.prepare import prepare_graph
from tinydf_calibration.table import CalibrationTable, check_fits, read_table
from tinydf_export.cli import calibrate as calibrate_cli
from tinydf_export.inputs import calibrate
from tinydf_export.inputs.labelled_crops import read_labelled_crops
from tinydf_runtime.faces.crop import CropConfig
from tinydf_runtime.models.spec import ModelSpec

SIDE = 16
CHECKPOINT = Checkpoint({}, {}, ModelSpec("small", CropConfig(side_px=SIDE), checkpoint_sha256="c" * 64))


def small_graph() -> ModelProto:
    """A network of three convolutions, a pool and a verdict."""
    rng = np.random.default_rng(1)
    arrays: dict[str, np.ndarray] = {"head": rng.normal(0, 1, (4, 1)).astype(np.float32)}

    def conv(name: str, taken: str, outs: int, ins: int) -> NodeProto:
        arrays[f"{name}_w"] = rng.normal(0, 0.1 if ins == 3 else 0.5, (outs, ins, 3, 3)).astype(np.float32)
        if ins == 3:
            arrays[f"{name}_w"] /= 60
        return helper.make_node("Conv", [taken, f"{name}_w"], [f"{name}_out"], name=name, pads=[1, 1, 1, 1])

    node = helper.make_node
    nodes = [
        node("Cast", ["image"], ["pixels"], name="cast", to=TensorProto.FLOAT),
        conv("first", "pixels", 4, 3),
        node("Relu", ["first_out"], ["first_relu"], name="relu"),
        conv("second", "first_relu", 4, 4),
        node("GlobalAveragePool", ["second_out"], ["pooled"], name="pool"),
        node("Flatten", ["pooled"], ["flat"], name="flatten"),
        node("Gemm", ["flat", "head"], ["logits"], name="gemm"),
        node("Sigmoid", ["logits"], ["fake_probability"], name="verdict"),
        conv("map", "second_out", 1, 4),
        node("Sigmoid", ["map_out"], ["forgery_map"], name="map_sigmoid"),
    ]
    value = helper.make_tensor_value_info
    outputs = [
        value("fake_probability", TensorProto.FLOAT, ["n", 1]),
        value("forgery_map", TensorProto.FLOAT, ["n", 1, SIDE, SIDE]),
    ]
    image = value("image", TensorProto.UINT8, ["n", 3, SIDE, SIDE])
    constants = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    graph = helper.make_graph(nodes, "small", [image], outputs, constants)
    return prepare_graph(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8))


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn faces in splits train and val."""
    folder = tmp_path_factory.mktemp("faces")
    write_drawn_faces(folder, 24)
    return folder


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, faces: Path) -> Callable[..., Result]:
    """Runs the command on a small network: tracing the real one takes long."""
    monkeypatch.setattr("tinydf.checkpoint.load_checkpoint", lambda path: CHECKPOINT)
    monkeypatch.setattr(calibrate, "build_float_graph", lambda checkpoint: small_graph())

    def invoke(*arguments: object) -> Result:
        words = ["any.safetensors", "--data", str(faces), "--samples", "6", "--pairs", "6", *map(str, arguments)]
        return CliRunner().invoke(calibrate_cli.main, words)

    return invoke


def assert_one_line_error(result: Result, code: int) -> None:
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("tinydf-calibrate: ") and result.stderr.count("\n") == 1


def test_table_page_and_figures_are_written(run: Callable[..., Result], tmp_path: Path) -> None:
    table_path, html, figures = tmp_path / "table.json", tmp_path / "page.html", tmp_path / "figures.json"
    result = run("--out", table_path, "--html", html, "--json", figures, "--max-auc-drop", "0.5")
    assert result.exit_code == 0, result.output
    table = read_table(table_path)
    check_fits(table, "c" * 64, small_graph(), CHECKPOINT.spec.crop.sha256())
    assert table.samples == 6
    assert table.measured["crops"]["validation"] == 12
    assert table.measured["bounds"]["auc_drop"] == 0.5
    assert json.loads(figures.read_text())["sha256"] == table.sha256()
    assert "any.safetensors on" in html.read_text()
    assert f"ranges by {table.method}" in " ".join(result.stdout.split())
    assert "onnxruntime" in result.stdout


def test_a_table_of_another_graph_is_keyed_anew_and_keeps_what_was_measured(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    assert run("--out", old, "--max-auc-drop", "1").exit_code == 0
    measured = read_table(old)
    old.write_text(replace(measured, graph_sha256="0" * 64).to_json())
    words = ["any.safetensors", "--rekey", str(old), "--max-auc-drop", "1", "--out", str(new)]
    result = CliRunner().invoke(calibrate_cli.main, words)
    assert result.exit_code == 0, result.output
    assert f"ranges by {measured.method}" in " ".join(result.stdout.split())
    assert read_table(new) == measured
    old.write_text(replace(measured, checkpoint_sha256="d" * 64).to_json())
    assert_one_line_error(CliRunner().invoke(calibrate_cli.main, words), 6)


def test_faces_and_an_old_table_exclude_each_other(run: Callable[..., Result], tmp_path: Path) -> None:
    assert_one_line_error(run("--rekey", "old.json", "--out", tmp_path / "new.json"), 2)
    alone = CliRunner().invoke(calibrate_cli.main, ["any.safetensors", "--out", str(tmp_path / "new.json")])
    assert_one_line_error(alone, 2)
    assert "--data, --rekey" in alone.stderr


def test_json_stands_alone_on_standard_output(run: Callable[..., Result], tmp_path: Path) -> None:
    result = run("--out", tmp_path / "table.json", "--max-auc-drop", "1", "--json")
    assert json.loads(result.stdout)["schema"] == "tinydf.calibrate/1"


def test_calibration_and_validation_crops_are_of_other_people(
    run: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    splits = []

    def note(folder: Path, split: str, *rest: object) -> object:
        splits.append(split)
        return read_labelled_crops(folder, split, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(calibrate, "read_labelled_crops", note)
    assert run("--out", tmp_path / "table.json", "--max-auc-drop", "1", "--quiet").output == ""
    assert sorted(splits) == ["train", "val"]


def test_lost_auc_exits_3_and_the_table_stays_for_inspection(
    run: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = calibrate_cli.require

    def worse(table: CalibrationTable, max_auc_drop: float) -> None:
        table.measured["agreement"]["openvino"]["auc_drop"] = 0.25
        kept(table, max_auc_drop)

    monkeypatch.setattr(calibrate_cli, "require", worse)
    result = run("--out", tmp_path / "table.json", "--quiet", "--max-auc-drop", "0.2")
    assert_one_line_error(result, 3)
    assert "openvino: loses 0.2500 of AUC" in result.stderr
    assert (tmp_path / "table.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--out", "m.safetensors"], 2),
        (["--out", "no/such/folder/table.json"], 7),
        (["--out", "same.json", "--html", "same.json"], 2),
        (["--out", "table.json", "--samples", "0"], 2),
        (["--out", "table.json", "--max-auc-drop", "-1"], 2),
        ([], 2),
    ],
)
def test_wrong_usage_is_told_before_the_work(run: Callable[..., Result], arguments: list[str], code: int) -> None:
    assert_one_line_error(run(*arguments), code)


def test_faces_that_are_not_there_exit_5(run: Callable[..., Result], tmp_path: Path) -> None:
    result = run("--data", tmp_path / "nothing", "--out", tmp_path / "table.json")
    assert_one_line_error(result, 5)
    assert list(tmp_path.iterdir()) == []


def test_a_photo_that_cannot_be_read_is_left_out_named_and_exits_5(run: Callable[..., Result], tmp_path: Path) -> None:
    folder = tmp_path / "faces"
    write_drawn_faces(folder, 24)
    photos = sorted(path for path in folder.rglob("*.*") if path.suffix != ".csv")
    broken = photos[::6]
    for path in broken:
        path.write_bytes(path.read_bytes()[:20])
    result = run("--data", folder, "--out", tmp_path / "table.json", "--max-auc-drop", "1", "--samples", "100")
    assert result.exit_code == 5, result.output
    assert (tmp_path / "table.json").is_file()
    # Where a machine takes longer than 20 s, lines of progress come before it.
    (line,) = (line for line in result.stderr.splitlines() if not line.startswith("["))
    assert line.startswith("tinydf-calibrate: ") and "left out" in line
    assert any(path.name in line for path in broken)


def test_missing_and_damaged_checkpoints_exit_5_and_6(faces: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.safetensors").write_bytes(b"\0" * 100)
    for name, code in (("gone.safetensors", 5), ("broken.safetensors", 6)):
        words = [str(tmp_path / name), "--data", str(faces), "--out", str(tmp_path / "table.json")]
        assert_one_line_error(CliRunner().invoke(calibrate_cli.main, words), code)
    assert not (tmp_path / "table.json").exists()


def test_help_shows_an_example_and_version_works() -> None:
    assert "Example: tinydf-calibrate " in CliRunner().invoke(calibrate_cli.main, ["--help"]).stdout
    assert CliRunner().invoke(calibrate_cli.main, ["--version"]).exit_code == 0
