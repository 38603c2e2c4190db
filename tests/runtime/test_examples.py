"""The examples run as they stand, over drawn networks."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tinydf_runtime import Analyzer

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def drawn_networks(monkeypatch: pytest.MonkeyPatch, tiny_classifier: Path, tiny_detector: Path) -> None:
    monkeypatch.setattr("tinydf_runtime.pipeline.DEFAULT_MODEL", tiny_classifier)
    monkeypatch.setattr("tinydf_runtime.pipeline.DEFAULT_DETECTOR", tiny_detector)


@pytest.fixture
def clip(write_video: Callable[..., Path]) -> Path:
    image = np.full((240, 320, 3), 90, np.uint8)
    image[60:160, 100:200] = (0, 10, 255)
    return write_video([image] * 50)


@pytest.mark.usefixtures("drawn_networks")
def test_a_video_is_judged_in_ten_lines(
    clip: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["judge_video.py", str(clip)])
    runpy.run_path(str(EXAMPLES / "judge_video.py"))
    assert f"{clip} real" in capsys.readouterr().out


@pytest.mark.usefixtures("drawn_networks")
def test_a_camera_is_watched_live(
    clip: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = Analyzer.stream
    monkeypatch.setattr(Analyzer, "stream", lambda self, source, limits=None: stream(self, clip, limits))
    runpy.run_path(str(EXAMPLES / "watch_camera.py"))
    assert len(capsys.readouterr().out.splitlines()) == 10
