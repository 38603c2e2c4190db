import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result

from tinydf.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from tinydf.cli.evaluate import main
from tinydf.evaluation.evaluate import evaluate
from tinydf.evaluation.result import SCHEMA_FILE
from tinydf.forgery import TinyDF
from tinydf_runtime.models.spec import ModelSpec


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def one_line(result: Result, code: int) -> str:
    assert result.exit_code == code, result.output
    assert result.stderr.startswith("tinydf-evaluate: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


def test_figures_are_printed_and_written(two_methods: Path, tiny_classifier: Path, tmp_path: Path) -> None:
    figures, page = tmp_path / "figures.json", tmp_path / "page.html"
    result = run(tiny_classifier, "--data", two_methods, "--json", figures, "--html", page)
    assert result.exit_code == 0, result.output
    assert "APCER of the worst method" in result.stdout and "set · c40 · Swap" in result.stdout
    (found,) = json.loads(figures.read_text())["evaluations"]
    assert found["whole"]["counts"]["fake_videos"] == 16
    assert page.read_text().startswith("<!doctype html>")


def test_json_follows_its_schema_and_stands_alone_on_standard_output(two_methods: Path, tiny_classifier: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    result = run(tiny_classifier, "--data", two_methods, "--limit", "12", "--json")
    found = json.loads(result.stdout)
    jsonschema.validate(found, json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))
    assert found["schema"] == "tinydf.evaluation/1"
    assert found["settings"]["limit"] == 12
    assert found["evaluations"][0]["whole"]["counts"]["real_videos"] > 0


def test_several_models_on_several_sets_make_a_matrix(
    two_methods: Path, tiny_classifier: Path, write_set: Callable[..., Path], flat: Callable[..., Any], tmp_path: Path
) -> None:
    second = tmp_path / "second.onnx"
    second.write_bytes(tiny_classifier.read_bytes())
    easy = write_set([flat("real", "a", (10,)), flat("Swap", "b", (200,))])
    result = run(tiny_classifier, second, "--data", two_methods, easy, "--json")
    matrix = json.loads(result.stdout)["matrix"]
    assert matrix["models"] == [str(tiny_classifier), str(second)]
    assert matrix["data"] == [str(two_methods), str(easy)]
    assert matrix["values"][0] == matrix["values"][1]
    assert matrix["values"][0][1]["value"] == 1
    # Models are files, folders are data, whatever comes first.
    assert json.loads(run("--data", two_methods, easy, second, "--json").stdout)["matrix"]["models"] == [str(second)]


def test_missing_pictures_are_listed_and_the_rest_is_measured(
    write_set: Callable[..., Path], flat: Callable[..., Any], tiny_classifier: Path
) -> None:
    folder = write_set([flat("real", "a", (10, 20)), flat("Swap", "b", (200,))])
    (folder / "0-1.png").unlink()
    result = run(tiny_classifier, "--data", folder)
    assert "0-1.png: is missing." in one_line(result, 5)
    assert "could not be measured and are in no figure: 1." in " ".join(result.stdout.split())
    assert "1.000" in result.stdout


def test_one_class_prints_no_auc(
    write_set: Callable[..., Path], flat: Callable[..., Any], tiny_classifier: Path
) -> None:
    result = run(tiny_classifier, "--data", write_set([flat("Swap", "b", (200, 201))]))
    assert result.exit_code == 0
    assert "no real video: no AUC" in " ".join(result.stdout.split())
    assert next(line for line in result.stdout.splitlines() if line.split()[:1] == ["AUC"]).split()[1] == "-"


def test_fit_stores_temperature_and_threshold_and_measures_with_them(
    write_set: Callable[..., Path], flat: Callable[..., Any], tmp_path: Path
) -> None:
    torch.manual_seed(1)
    model, out = tmp_path / "mine.safetensors", tmp_path / "fitted.safetensors"
    save_checkpoint(Checkpoint(TinyDF().state_dict(), {}, ModelSpec("mine", threshold=0.99)), model)
    greens = (30, 120, 200)
    videos = [flat(kind, f"{i}", (g,), split="val") for kind in ("real", "Swap") for i, g in enumerate(greens)]
    folder = write_set(videos)
    result = run(model, "--data", folder, "--split", "val", "--fpr", "0.4", "--fit", out, "--json")
    assert result.exit_code == 0, result.output
    stored = load_checkpoint(out).spec
    assert stored.threshold != 0.99
    report = json.loads(result.stdout)
    found = report["evaluations"][0]
    assert (found["model"]["threshold"], found["model"]["temperature"]) == (stored.threshold, stored.temperature)
    record = load_checkpoint(out).config["operating_point"]
    assert record["found_fpr"] <= record["fpr"] == 0.4
    assert found["whole"]["videos"]["bpcer"]["value"] == pytest.approx(record["found_fpr"], abs=1e-5)
    assert report["settings"]["fitted_fpr"] == 0.4
    # The checkpoint that was measured is not touched.
    assert load_checkpoint(model).spec.threshold == 0.99
    assert f"threshold {stored.threshold:g}" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["{model}"], "--data"),
        (["--data", "{folder}"], "MODEL"),
        (["{model}", "--data", "{folder}", "--fpr", "0.1"], "go together"),
        (["{model}", "--data", "{folder}", "--fpr", "0.1", "--fit", "o.safetensors"], "ends in .safetensors"),
        (["{model}", "--data", "{folder}", "--json", "{model}"], "is an input too"),
        (["{model}", "--data", "{folder}", "--json", "other.onnx"], "name of a model"),
        (["{model}", "--data", "{folder}", "--split", "train"], "no face in split train"),
        (["model.bin", "--data", "{folder}"], "expected a model that ends in"),
    ],
)
def test_wrong_usage_is_one_line(
    two_methods: Path, tiny_classifier: Path, arguments: list[str], complaint: str
) -> None:
    filled = [argument.format(model=tiny_classifier, folder=two_methods) for argument in arguments]
    assert complaint in one_line(run(*filled), 2)


def test_missing_model_folder_and_outputs_have_their_codes(
    two_methods: Path, tiny_classifier: Path, tmp_path: Path
) -> None:
    one_line(run(tmp_path / "none.onnx", "--data", two_methods), 5)
    one_line(run(tiny_classifier, "--data", tmp_path / "nowhere"), 5)
    one_line(run(tiny_classifier, "--data", two_methods, "--html", tmp_path / "no" / "page.html"), 7)


def test_interruption_writes_what_was_done(
    two_methods: Path, tiny_classifier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def stop_at_the_second(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return evaluate(*arguments)

    monkeypatch.setattr("tinydf.evaluation.evaluate.evaluate", stop_at_the_second)
    out = tmp_path / "figures.json"
    result = run(tiny_classifier, "--data", two_methods, two_methods, "--json", out)
    assert "interrupted" in one_line(result, 130)
    assert len(json.loads(out.read_text())["evaluations"]) == 1


def test_quiet_prints_nothing(two_methods: Path, tiny_classifier: Path) -> None:
    result = run(tiny_classifier, "--data", two_methods, "--quiet")
    assert (result.exit_code, result.output) == (0, "")


def test_help_shows_an_example() -> None:
    assert "Example: tinydf-evaluate" in run("--help").stdout
