"""tinydf-run: what it prints, writes and how it ends."""

from __future__ import annotations

import csv
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import jsonschema
import numpy as np
import pytest
from click.testing import CliRunner, Result

from tinydf_runtime.cli.run import main
from tinydf_runtime.faces.crop import CropConfig
from tinydf_runtime.io.input import Input
from tinydf_runtime.io.video import VideoReader
from tinydf_runtime.models.spec import ModelSpec
from tinydf_runtime.render.report import SCHEMA_FILE
from tinydf_runtime.results import InputReport
from tinydf_runtime.types import Image

VideoWriter = Callable[..., Path]
Tool = Callable[..., Result]


@pytest.fixture
def tool(make_classifier: Callable[..., Path], tiny_detector: Path) -> Tool:
    engine = make_classifier(ModelSpec("tiny-green", CropConfig(margin=0.05), threshold=0.12))

    def run(*arguments: object) -> Result:
        fixed = ["--model", str(engine), "--detector", str(tiny_detector), "--threads", "1"]
        return CliRunner().invoke(main, [*map(str, arguments), *fixed])

    return run


@pytest.fixture
def clip(write_video: VideoWriter, real_face: Image) -> Path:
    return write_video([real_face] * 75)


def one_line(result: Result) -> str:
    assert "Traceback" not in result.output
    lines = result.stderr.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("tinydf-run: ")
    return lines[0]


def read_report(path: Path) -> Any:
    values = json.loads(path.read_text())
    jsonschema.validate(values, json.loads(SCHEMA_FILE.read_text()))
    return values


def test_a_clip_gets_a_verdict_a_table_and_a_note(tool: Tool, clip: Path) -> None:
    result = tool(clip)
    assert result.exit_code == 0
    assert result.stderr == ""
    for words in ("REAL", "0:00-0:02.8", "interval", "threshold: fake from", "statistical evidence, not proof"):
        assert words in result.stdout


def test_nothing_is_said_about_verdicts_where_there_is_none(tool: Tool, tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"")
    result = tool(tmp_path / "bad.mp4")
    assert result.exit_code == 5 and "statistical evidence" not in result.stdout


def test_a_half_forged_clip_is_fake_and_says_where(
    tool: Tool, write_video: VideoWriter, tmp_path: Path, real_face: Image, forged_face: Image
) -> None:
    path = write_video([real_face] * 125 + [forged_face] * 125)
    result = tool(path, "--json", tmp_path / "r.json")
    assert result.exit_code == 0
    assert "FAKE" in result.stdout and "looks forged from 0:05 to 0:09.8" in result.stdout
    (item,) = read_report(tmp_path / "r.json")["inputs"]
    assert item["verdict"] == "fake"
    assert item["segments"][0]["start_s"] == pytest.approx(5.0, abs=0.3)


def test_json_and_csv_hold_every_scored_face(tool: Tool, clip: Path, tmp_path: Path) -> None:
    result = tool(clip, "--json", tmp_path / "r.json", "--csv", tmp_path / "r.csv", "--quiet")
    assert (result.exit_code, result.output) == (0, "")
    values = read_report(tmp_path / "r.json")
    with (tmp_path / "r.csv").open() as file:
        rows = list(csv.DictReader(file))
    scores = values["inputs"][0]["tracks"][0]["scores"]
    assert [float(row["fake_probability"]) for row in rows] == [score["fake_probability"] for score in scores]
    assert values["model"]["name"] == "tiny-green"
    assert len(values["model"]["sha256"]) == 64


def test_a_file_read_in_part_is_named_where_findings_are_not_shown(
    tool: Tool, cut_video: VideoWriter, tmp_path: Path, real_face: Image
) -> None:
    path = cut_video([real_face] * 75)
    result = tool(path, "--json", tmp_path / "r.json", "--quiet")
    assert result.exit_code == 5
    assert result.stderr.startswith("tinydf-run: ") and str(path) in result.stderr and "too early" in result.stderr
    assert result.stderr.count("\n") == 1


def test_json_can_be_printed_alone(tool: Tool, clip: Path) -> None:
    result = tool(clip, "--json", "-")
    assert json.loads(result.stdout)["inputs"][0]["verdict"] == "real"


def test_sampling_every_frame_scores_every_frame(tool: Tool, clip: Path, tmp_path: Path) -> None:
    assert tool(clip, "--sample-fps", "all", "--json", tmp_path / "r.json").exit_code == 0
    assert read_report(tmp_path / "r.json")["inputs"][0]["frames_scored"] == 75


def test_a_threshold_can_be_given(tool: Tool, clip: Path, tmp_path: Path) -> None:
    assert tool(clip, "--threshold", "0.01", "--json", tmp_path / "r.json").exit_code == 0
    values = read_report(tmp_path / "r.json")
    assert (values["model"]["threshold"], values["inputs"][0]["verdict"]) == (0.01, "fake")


def test_a_folder_with_one_bad_file_gives_the_good_ones_results(
    tool: Tool, write_video: VideoWriter, tmp_path: Path, real_face: Image, forged_face: Image
) -> None:
    (tmp_path / "deeper").mkdir()
    write_video([real_face] * 30, name="a.mp4")
    (tmp_path / "b.mp4").write_text("no video, only words")
    cv2.imwrite(str(tmp_path / "deeper" / "c.png"), forged_face)
    (tmp_path / "notes.txt").write_text("neither")
    result = tool(tmp_path, "--json", tmp_path / "r.json")
    assert result.exit_code == 5
    assert "b.mp4" in one_line(result)
    found = {Path(item["path"]).name: item["verdict"] for item in read_report(tmp_path / "r.json")["inputs"]}
    assert found == {"a.mp4": "real", "b.mp4": "error", "c.png": "fake"}


@pytest.mark.parametrize("name", ["empty.mp4", "text.mp4", "missing.mp4"])
def test_what_cannot_be_read_is_one_line_and_exit_code_5(tool: Tool, tmp_path: Path, name: str) -> None:
    if name != "missing.mp4":
        (tmp_path / name).write_text("" if name == "empty.mp4" else "no video, only words")
    result = tool(tmp_path / name, "--json", tmp_path / "r.json")
    assert result.exit_code == 5
    assert name in one_line(result)
    (item,) = read_report(tmp_path / "r.json")["inputs"]
    assert (item["verdict"], item["fake_probability"]) == ("error", None)


def test_a_truncated_clip_is_judged_as_far_as_it_goes(
    tool: Tool, cut_video: Callable[..., Path], tmp_path: Path, forged_face: Image
) -> None:
    rng = np.random.default_rng(0)
    frames = [np.clip(forged_face + rng.integers(0, 9, (240, 320, 1)), 0, 255).astype(np.uint8) for _ in range(99)]
    result = tool(cut_video(frames), "--json", tmp_path / "r.json")
    assert result.exit_code == 5
    (item,) = read_report(tmp_path / "r.json")["inputs"]
    assert (item["status"], item["verdict"]) == ("truncated", "fake")
    assert "cut off" in " ".join(result.stdout.split())


def test_patterns_name_files(tool: Tool, write_video: VideoWriter, tmp_path: Path, real_face: Image) -> None:
    for name in ("a.mp4", "b.mp4"):
        write_video([real_face] * 20, name=name)
    result = tool(tmp_path / "*.mp4", tmp_path / "a.mp4", "--json", tmp_path / "r.json")
    assert result.exit_code == 0
    assert [Path(item["path"]).name for item in read_report(tmp_path / "r.json")["inputs"]] == ["a.mp4", "b.mp4"]


def test_a_pattern_or_folder_that_names_nothing_is_wrong_usage(tool: Tool, tmp_path: Path) -> None:
    for argument in (tmp_path / "*.mp4", tmp_path):
        result = tool(argument)
        assert result.exit_code == 2
        assert str(argument) in one_line(result)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--no-such-option", "a.mp4"],
        [],
        ["a.mp4", "--sample-fps", "0"],
        ["a.mp4", "--sample-fps", "many"],
        ["a.mp4", "--threshold", "1.5"],
        ["a.mp4", "--device", "abacus"],
        ["a.mp4", "--annotate", "out.txt"],
        ["a.mp4", "b.mp4", "--annotate", "out.mp4"],
        ["0", "--annotate", "out.mp4"],
        ["a.mp4", "--json", "a.mp4"],
        ["a.mp4", "--json", "r", "--csv", "r"],
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(tool: Tool, arguments: list[str]) -> None:
    result = tool(*arguments)
    assert result.exit_code == 2
    one_line(result)


@pytest.mark.parametrize("option", ["--json", "--csv", "--annotate"])
def test_outputs_that_cannot_be_written_are_refused_before_the_work(
    tool: Tool, clip: Path, tmp_path: Path, option: str
) -> None:
    result = tool(clip, option, tmp_path / "none" / "out.mp4")
    assert result.exit_code == 7
    assert "none" in one_line(result)
    assert result.stdout == ""


def test_a_damaged_model_is_exit_code_6(clip: Path, tmp_path: Path, tiny_detector: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"no network")
    arguments = [str(clip), "--engine", str(tmp_path / "broken.onnx"), "--detector", str(tiny_detector)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 6
    assert "broken.onnx" in one_line(result)


def test_a_missing_device_is_exit_code_4_and_a_fallback_is_told(tool: Tool, clip: Path, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this machine has the device")
    result = tool(clip, "--device", "cuda")
    assert result.exit_code == 4
    assert "cuda" in one_line(result)
    result = tool(clip, "--device", "cuda", "--allow-fallback", "--json", tmp_path / "r.json")
    assert result.exit_code == 0
    assert "cuda" in one_line(result)
    assert read_report(tmp_path / "r.json")["model"]["device"] == "cpu"


def test_several_inputs_are_drawn_into_a_folder(tool: Tool, clip: Path, tmp_path: Path, forged_face: Image) -> None:
    cv2.imwrite(str(tmp_path / "photo.png"), forged_face)
    out = tmp_path / "drawn"
    assert tool(clip, tmp_path / "photo.png", "--annotate", out).exit_code == 0
    assert sorted(file.name for file in out.iterdir()) == ["clip.annotated.mp4", "photo.annotated.png"]
    with VideoReader(out / "clip.annotated.mp4") as reader:
        assert len(list(reader)) == 75


def test_a_file_that_goes_before_it_is_drawn_costs_its_drawing_alone(
    tool: Tool, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forged_face: Image
) -> None:
    from tinydf_runtime.analyzer import Analyzer

    analyze_input, photos = Analyzer.analyze_input, [tmp_path / f"{name}.png" for name in "ab"]
    for photo in photos:
        cv2.imwrite(str(photo), forged_face)

    def judged_and_gone(self: Analyzer, source: Input, *rest: Any) -> InputReport:
        item = analyze_input(self, source, *rest)
        photos[0].unlink(missing_ok=True)
        return item

    monkeypatch.setattr(Analyzer, "analyze_input", judged_and_gone)
    done = tool(*photos, "--annotate", out := tmp_path / "drawn", "--json", tmp_path / "r.json")
    assert done.exit_code == 5 and "a.png" in done.stderr
    assert [file.name for file in out.iterdir()] == ["b.annotated.png"]
    assert len(read_report(tmp_path / "r.json")["inputs"]) == 2


def test_one_input_is_drawn_into_a_file(tool: Tool, clip: Path, tmp_path: Path) -> None:
    assert tool(clip, "--annotate", tmp_path / "drawn.mp4").exit_code == 0
    assert (tmp_path / "drawn.mp4").stat().st_size > 0


def interrupt_during(monkeypatch: pytest.MonkeyPatch, path: Path, raise_it: bool) -> None:
    from tinydf_runtime.analyzer import Analyzer

    analyze_input = Analyzer.analyze_input

    def interrupted(self: Analyzer, source: Input, *rest: Any) -> InputReport:
        if source.name == str(path):
            if raise_it:
                raise KeyboardInterrupt
            # Called, not raised: beside every engine that other tests have loaded, a real signal ends this process.
            handler = signal.getsignal(signal.SIGINT)
            assert callable(handler)
            handler(signal.SIGINT, None)
        return analyze_input(self, source, *rest)

    monkeypatch.setattr(Analyzer, "analyze_input", interrupted)


@pytest.mark.parametrize("raise_it", [True, False])
def test_ctrl_c_keeps_what_was_done(
    tool: Tool,
    clip: Path,
    write_video: VideoWriter,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    raise_it: bool,
    forged_face: Image,
) -> None:
    second = write_video([forged_face] * 75, name="second.mp4")
    third = write_video([forged_face] * 75, name="third.mp4")
    interrupt_during(monkeypatch, second, raise_it)
    before = signal.getsignal(signal.SIGINT)
    # In this process the second input's first frame is always there; a child may not have sent it when it is stopped.
    outputs = ("--json", tmp_path / "r.json", "--csv", tmp_path / "r.csv")
    result = tool(clip, second, third, "--no-sandbox", *outputs)
    assert result.exit_code == 130
    assert "interrupted" in one_line(result)
    done = read_report(tmp_path / "r.json")["inputs"]
    assert (Path(done[0]["path"]).name, done[0]["status"]) == ("clip.mp4", "ok")
    # The first Ctrl-C ends the second input at its next frame; what that showed is kept.
    assert [(item["status"], "interrupted" in item["reasons"]) for item in done[1:]] == (
        [] if raise_it else [("truncated", True)]
    )
    assert signal.getsignal(signal.SIGINT) == before


def test_the_time_limit_is_told(tool: Tool, clip: Path, tmp_path: Path) -> None:
    result = tool(clip, "--max-seconds", "0.000001", "--json", tmp_path / "r.json")
    assert result.exit_code == 5
    assert read_report(tmp_path / "r.json")["inputs"][0]["status"] == "timeout"


def test_help_has_an_example_and_the_exit_codes() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    assert "Example: tinydf-run interview.mp4" in result.stdout
    assert "130 interrupted" in result.stdout


def test_the_version_is_printed() -> None:
    result = CliRunner().invoke(main, ["--version"])
    assert result.exit_code == 0
    assert result.stdout.startswith("tinydf-run, version ")


def test_a_terminal_without_unicode_gets_plain_letters(
    clip: Path, make_classifier: Callable[..., Path], tiny_detector: Path
) -> None:
    arguments = [str(clip), "--engine", str(make_classifier()), "--detector", str(tiny_detector)]
    result = CliRunner(charset="ascii").invoke(main, arguments)
    assert result.exit_code == 0
    assert result.stdout.isascii()


def test_on_a_terminal_the_bar_goes_to_stderr_and_the_table_to_stdout(
    clip: Path,
    make_classifier: Callable[..., Path],
    tiny_detector: Path,
    run_on_terminal: Callable[..., tuple[int, str, str]],
) -> None:
    arguments = [str(clip), "--engine", str(make_classifier()), "--detector", str(tiny_detector)]
    code, out, drawn = run_on_terminal("-c", "from tinydf_runtime.cli.run import main; main()", *arguments)
    assert code == 0
    assert "REAL" in out and "REAL" not in drawn
    assert clip.name in drawn and "ETA" in drawn and "ETA" not in out


def test_a_film_with_a_hole_is_not_real_and_ends_as_one_read_in_part(
    tool: Tool, tmp_path: Path, write_video: VideoWriter, real_face: Image
) -> None:
    whole, holed = write_video([real_face] * 75, name="whole.avi"), tmp_path / "holed.avi"
    content = whole.read_bytes()
    third = len(content) // 3
    holed.write_bytes(content[:third] + bytes(third) + content[2 * third :])
    assert tool(whole).exit_code == 0
    result = tool(holed)
    assert result.exit_code == 5 and "INCONCLUSIVE" in result.stdout and "damaged" in result.stdout


def test_a_message_names_a_relative_path_once(tool: Tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("words.mp4").write_text("no video, only words")
    assert one_line(tool("./words.mp4")).count("words.mp4") == 1
