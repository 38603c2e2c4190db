"""Live lines for people: in place on a terminal, a line a change elsewhere."""

from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

from tinydf_runtime.cli import follow as live_show
from tinydf_runtime.cli.follow import LiveShow
from tinydf_runtime.results import FrameResult, Label, ScoredFace, Verdict
from tinydf_runtime.types import Face, Frame

CROWD: list[Label] = ["real"] * 12


def result_at(time_s: float, *labels: Label) -> FrameResult:
    face = Face((0.0, 0.0, 50.0, 50.0), ((1.0, 1.0),) * 5, 0.9)
    faces = tuple(
        ScoredFace(track, face, 0.9, np.zeros((14, 14), np.float32), Verdict(track, label, 0.9, (), 9))
        for track, label in enumerate(labels, 1)
    )
    return FrameResult(Frame(round(25 * time_s), time_s, np.zeros((48, 64, 3), np.uint8)), faces, 0.04, 3)


def console_of(terminal: bool, **options: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=100, color_system=None, **options)  # type: ignore[arg-type]


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_elsewhere_a_line_is_written_only_when_a_verdict_changes() -> None:
    console = console_of(False)
    with LiveShow("camera", 0.5, console) as show:
        for number in range(20):
            show.show(result_at(number / 5, "real" if number < 10 else "fake", "real"))
    lines = written(console).splitlines()
    assert len(lines) == 3
    assert "person 1" in lines[0] and "real" in lines[0]
    assert "person 1" in lines[2] and "fake" in lines[2] and "0:02" in lines[2]


def test_a_terminal_shows_every_person_with_verdict_and_delay() -> None:
    console = console_of(True)
    with LiveShow("camera", 0.5, console) as show:
        show.show(result_at(0.2, "real", "fake"))
    text = written(console)
    assert "camera" in text and "40 ms" in text and "3 frames passed over" in text
    assert text.count("person") >= 2 and "real" in text and "fake" in text


def test_a_stream_that_fell_silent_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    console = console_of(True)
    with LiveShow("camera", 0.5, console) as show:
        show.show(result_at(0.2, "real"))
        monkeypatch.setattr(live_show, "SILENCE_S", -1.0)
    assert "no picture for 0 s, trying again" in written(console)


def test_who_left_leaves_the_screen_and_a_crowd_is_counted() -> None:
    console = console_of(True)
    with LiveShow("camera", 0.5, console) as show:
        show.show(result_at(0.0, *CROWD))
    assert "and 4 more" in written(console)
    console = console_of(True)
    with LiveShow("camera", 0.5, console) as show:
        show.show(result_at(0.0, *CROWD))
        show.show(result_at(60.0))
        # Nor do they stay in memory.
        assert not show._faces and not show._history
    assert written(console).rfind("no face") > written(console).rfind("person")


def test_a_quiet_console_stays_empty() -> None:
    console = console_of(True, quiet=True)
    with LiveShow("camera", 0.5, console) as show:
        show.show(result_at(0.2, "fake"))
    assert written(console) == ""
