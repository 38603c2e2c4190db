"""What a long command says while it works."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from tinydf_runtime.cli.progress import ProgressBar


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Listener(io.StringIO):
    """A stream that is no terminal, and tells when something was written."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = threading.Event()

    def write(self, text: str) -> int:
        self.heard.set()
        return super().write(text)


def test_a_line_has_time_step_rate_time_left_and_figures() -> None:
    clock = Clock()
    progress = ProgressBar("train", 400, unit="steps", now=clock)
    progress.advance(0)
    clock.now_s += 50
    progress.advance(100, loss=0.51237, auc=None)
    line = progress.line()
    assert re.match(r"\[\d\d:\d\d:\d\d\] train: 100/400 steps \(25%\), 2 steps/s, 0:50 so far, ETA 2:30, loss ", line)
    assert line.endswith("loss 0.5124")
    progress.advance(100, auc=0.75)
    assert progress.line().endswith("loss 0.5124, auc 0.75")


def test_what_an_earlier_run_did_does_not_count_as_speed() -> None:
    clock = Clock()
    progress = ProgressBar("train", 1000, now=clock)
    clock.now_s += 5
    progress.advance(900)
    assert "/s" not in progress.line() and "ETA" not in progress.line()
    clock.now_s += 10
    progress.advance(910)
    assert ", 1/s, " in progress.line() and "ETA 1:30" in progress.line()


def test_the_rate_is_that_of_the_last_minutes() -> None:
    clock = Clock()
    progress = ProgressBar("train", 10_000, now=clock)
    for step in range(1, 1001):
        clock.now_s += 0.1
        progress.advance(step)
    for step in range(1001, 1101):
        clock.now_s += 2
        progress.advance(step)
    assert ", 0.5/s, " in progress.line()


def test_a_stage_counts_from_nothing_again() -> None:
    clock = Clock()
    progress = ProgressBar("calibrating", now=clock)
    progress.advance(90, 100, stage="crops")
    clock.now_s += 10
    progress.advance(0, 8, stage="layers")
    clock.now_s += 4
    progress.advance(2, 8, stage="layers")
    assert "layers: 2/8 (25%), 0.5/s, 0:14 so far, ETA 0:12" in progress.line()


def test_a_name_cannot_move_the_cursor() -> None:
    line = ProgressBar("a\x1b[2Kb\nc\udcff.mp4", 1, now=Clock()).line()
    assert "a?[2Kb?c?.mp4: 0/1" in line


def test_without_a_total_or_a_first_step_nothing_is_made_up() -> None:
    line = ProgressBar("loading", now=Clock()).line()
    assert line.endswith("loading: 0:00 so far")


def test_work_that_does_not_come_back_is_spoken_of_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Listener()
    monkeypatch.setattr(sys, "stderr", stream)
    with ProgressBar("one step", 1, every_s=0.01):
        assert stream.heard.wait(60)
    lines = stream.getvalue().splitlines()
    assert len(lines) >= 2 and all("one step: 0/1 (0%)" in line for line in lines)


@pytest.mark.parametrize("quiet", [True, False])
def test_short_or_quiet_work_prints_nothing(quiet: bool, capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressBar("short", 1, quiet=quiet) as progress:
        progress.advance(1)
    assert capsys.readouterr() == ("", "")


def test_a_reader_that_has_gone_does_not_end_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = threading.Event()

    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            tried.set()
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Gone())
    with ProgressBar("work", 1, every_s=0.01) as progress:
        assert tried.wait(60)
        progress.advance(1)


PROGRAM = """
from tinydf_runtime.cli.progress import ProgressBar
with ProgressBar("[red]judging", 4, unit="faces") as progress:
    progress.advance(3, auc=0.9)
    print("found")
"""


def test_a_terminal_shows_a_bar_with_the_same_words_and_clears_it(
    run_on_terminal: Callable[..., tuple[int, str, str]],
) -> None:
    code, out, drawn = run_on_terminal("-c", PROGRAM)
    assert (code, out) == (0, "found\n")
    assert "[red]judging" in drawn and "3/4 faces (75%)" in drawn and "auc 0.9" in drawn
    # The last thing is to erase the line.
    assert drawn.rstrip().endswith("\x1b[2K")


def test_it_is_cheap_to_import() -> None:
    code = "import sys, tinydf_runtime.cli.progress; print('rich' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
