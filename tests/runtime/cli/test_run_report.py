"""tinydf-run --html and --fpr: the page with the evidence, and the threshold that a model was measured at."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
from click.testing import CliRunner, Result

from tinydf_runtime.cli.run import main
from tinydf_runtime.models.spec import ModelSpec
from tinydf_runtime.types import Image

VideoWriter = Callable[..., Path]
Tool = Callable[..., Result]

MEASURED = ((0.01, 0.6), (0.1, 0.3), (0.2, 0.02))


@pytest.fixture
def clip(write_video: VideoWriter, real_face: Image) -> Path:
    return write_video([real_face] * 50)


@pytest.fixture
def tool(make_classifier: Callable[..., Path], tiny_detector: Path) -> Tool:
    engine = make_classifier(ModelSpec("tiny-green", threshold=0.2, fpr_thresholds=MEASURED))

    def run(*arguments: object) -> Result:
        fixed = ["--engine", str(engine), "--detector", str(tiny_detector), "--threads", "1"]
        return CliRunner().invoke(main, [*map(str, arguments), *fixed])

    return run


def test_the_page_has_faces_and_the_command_that_makes_it_again(tool: Tool, clip: Path, tmp_path: Path) -> None:
    page = tmp_path / "out.html"
    assert tool(clip, "--report", page, "--sample-fps", "all").exit_code == 0
    text = page.read_text(encoding="utf-8")
    assert "Looks real" in text and text.count("data:image/jpeg;base64,") >= 4
    command = re.search(r'<pre class="command"><code>(.*?)</code>', text, re.DOTALL)
    assert command is not None
    assert command[1].startswith(f"tinydf-run {clip} ")
    assert f"--html {page}" in command[1] and "--sample-fps all" in command[1] and "--threads 1" in command[1]


def test_several_inputs_good_and_bad_are_one_page(tool: Tool, clip: Path, tmp_path: Path, forged_face: Image) -> None:
    (tmp_path / "bad.mp4").write_text("no video, only words")
    cv2.imwrite(str(tmp_path / "photo.png"), forged_face)
    assert tool(clip, tmp_path / "bad.mp4", tmp_path / "photo.png", "--report", tmp_path / "out.html").exit_code == 5
    text = (tmp_path / "out.html").read_text(encoding="utf-8")
    for words in ("3 inputs", "Looks real", "Looks forged", "Not judged", 'id="input-3"'):
        assert words in text


def test_a_page_is_never_written_over_an_input(tool: Tool, clip: Path) -> None:
    before = clip.read_bytes()
    assert tool(clip, "--report", clip).exit_code == 2 == tool(clip, "--html", clip).exit_code
    assert clip.read_bytes() == before


@pytest.mark.parametrize(
    ("fpr", "threshold", "verdict"), [("0.1", 0.3, "real"), ("0.15", 0.3, "real"), ("0.2", 0.02, "fake")]
)
def test_a_false_positive_rate_chooses_the_measured_threshold(
    tool: Tool, clip: Path, tmp_path: Path, fpr: str, threshold: float, verdict: str
) -> None:
    assert tool(clip, "--fpr", fpr, "--json", tmp_path / "r.json").exit_code == 0
    values = json.loads((tmp_path / "r.json").read_text())
    assert (values["model"]["threshold"], values["model"]["fpr"]) == (threshold, float(fpr))
    assert values["inputs"][0]["verdict"] == verdict


def test_a_rate_that_nobody_measured_is_refused_with_those_that_are_known(tool: Tool, clip: Path) -> None:
    result = tool(clip, "--fpr", "0.001")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "0.01, 0.1, 0.2" in result.stderr and len(result.stderr.splitlines()) == 1


def test_a_model_without_a_measurement_is_refused(
    clip: Path, make_classifier: Callable[..., Path], tiny_detector: Path
) -> None:
    engine = make_classifier(ModelSpec("never-measured"))
    result = CliRunner().invoke(
        main, [str(clip), "--engine", str(engine), "--detector", str(tiny_detector), "--fpr", "0.1"]
    )
    assert result.exit_code == 2
    assert "never-measured: no threshold was measured" in result.stderr


def test_a_threshold_and_a_rate_do_not_go_together(tool: Tool, clip: Path) -> None:
    result = tool(clip, "--fpr", "0.1", "--threshold", "0.5")
    assert result.exit_code == 2 and "Leave one out" in result.stderr
