"""A stream that tinydf-run follows: lines for people, JSON lines for programs, a window; at the end its report."""

from __future__ import annotations

import time
from collections import deque
from contextlib import ExitStack, suppress
from types import TracebackType

import cv2
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from tinydf_runtime.analyzer import Analyzer
from tinydf_runtime.cli.options import LiveOptions
from tinydf_runtime.cli.outputs import print_line
from tinydf_runtime.cli.terminal import BARS, PLAIN_BARS, STYLES
from tinydf_runtime.errors import UnavailableError, UnknownFormatError
from tinydf_runtime.io.address import mask_credentials
from tinydf_runtime.render.report import frame_result_line
from tinydf_runtime.render.window import LiveWindow
from tinydf_runtime.render.words import REASON_WORDS, clock
from tinydf_runtime.results import FrameResult, InputReport, ScoredFace
from tinydf_runtime.watch import Limits


def follow_stream(source: str, analyzer: Analyzer, limits: Limits, options: LiveOptions, silent: bool) -> InputReport:
    """Shows a stream's results until it ends, a limit is reached or its window is closed; returns its report.

    Raises:
        MissingExtraError: A window is asked for and there is none.
        OutputError: The pipe that the lines go to was closed.
    """
    name = mask_credentials(source)
    threshold = analyzer.threshold
    with ExitStack() as stack:
        window = None
        if options.window:
            window = stack.enter_context(LiveWindow(f"TinyDF {name}", analyzer.spec.crop.margin))
        lines = stack.enter_context(LiveShow(name, threshold, Console(quiet=silent)))
        live = stack.enter_context(analyzer.stream(source, limits, options.max_latency_s, options.give_up_s))
        # Its report says what is wrong.
        with suppress(UnavailableError, UnknownFormatError, cv2.error):
            for result in live:
                if options.json_lines:
                    print_line(frame_result_line(result, source))
                lines.show(result)
                if window is not None and not window.show(result):
                    break
    return live.report()


MAXIMUM_LINES = 8
"""Persons shown at once; the most suspicious come first."""
HISTORY = 24
"""Scores in a person's bar."""
SILENCE_S = 2.0
"""Without a picture for this long, the view says so."""
KEEP_S = 3.0
"""Seconds for which a person who left stays on the screen."""
REFRESHES_A_SECOND = 8


class LiveShow:
    """Shows one line per person: running verdict, its probability, the last scores; above them frame rate and delay."""

    def __init__(self, name: str, threshold: float, console: Console) -> None:
        """Prepares the display.

        Args:
            name: What the source is called.
            threshold: Probability from which a score gets the colour of the verdict, and not that of real.
            console: A terminal gets lines in place, anything else a line a change.
        """
        self._name, self._threshold, self._console = name, threshold, console
        self._in_place = console.is_terminal and not console.quiet
        self._bars = PLAIN_BARS if console.options.ascii_only else BARS
        self._times: deque[float] = deque(maxlen=20)
        self._faces: dict[int, ScoredFace] = {}
        self._seen_s: dict[int, float] = {}
        self._history: dict[int, deque[float]] = {}
        self._lines: tuple[Text, ...] = (Text(f"{name}  waiting for a picture", style="dim"),)
        self._live = Live(
            console=console,
            # Refreshed by rich's own thread, since a stream that broke off gives no results.
            get_renderable=self._view,
            refresh_per_second=REFRESHES_A_SECOND,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> LiveShow:
        """Starts the display."""
        if self._in_place:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the display."""
        if self._in_place:
            self._live.stop()

    def show(self, result: FrameResult) -> None:
        """Shows the result of one frame."""
        now_s = time.monotonic()
        self._times.append(now_s)
        changed = [face for face in result.faces if self._label(face.track) != face.verdict.label]
        for face in result.faces:
            self._faces[face.track] = face
            self._seen_s[face.track] = result.frame.time_s
            self._history.setdefault(face.track, deque(maxlen=HISTORY)).append(face.fake_probability)
        for track in [track for track, seen_s in self._seen_s.items() if seen_s < result.frame.time_s - KEEP_S]:
            del self._faces[track], self._seen_s[track], self._history[track]
        if not self._in_place:
            for face in changed:
                self._console.print(self._line(face, result.frame.time_s), soft_wrap=True)
        else:
            # One assignment: the drawing thread sees either the old or the new lines.
            self._lines = self._lines_of(result)

    def _label(self, track: int) -> str | None:
        """Returns the verdict that was shown last for a person."""
        return self._faces[track].verdict.label if track in self._faces else None

    def _view(self) -> Group:
        """Returns what is on the screen."""
        silent_s = time.monotonic() - self._times[-1] if self._times else 0.0
        if silent_s < SILENCE_S:
            return Group(*self._lines)
        return Group(*self._lines, Text(f"  no picture for {silent_s:.0f} s, trying again", style="yellow"))

    def _lines_of(self, result: FrameResult) -> tuple[Text, ...]:
        """Returns the head line and one line per person."""
        head = Text(self._name, style="bold")
        span_s = self._times[-1] - self._times[0]
        rate = f"{(len(self._times) - 1) / span_s:.1f} frames/s" if span_s > 0 else ""
        delay = "" if result.latency_s is None else f"{1000 * result.latency_s:.0f} ms"
        dropped = f"{result.frames_dropped} frames passed over" if result.frames_dropped else ""
        facts = "  ".join(filter(None, [clock(round(result.frame.time_s)), rate, delay, dropped, "Ctrl-C ends"]))
        head.append(f"  {facts}", style="default not bold")
        ordered = sorted(self._faces.values(), key=lambda face: -(face.verdict.fake_probability or 0.0))
        lines = [self._line(face) for face in ordered[:MAXIMUM_LINES]]
        if len(ordered) > MAXIMUM_LINES:
            lines.append(Text(f"  and {len(ordered) - MAXIMUM_LINES} more", style="dim"))
        return head, *(lines or [Text("  no face", style="dim")])

    def _line(self, face: ScoredFace, time_s: float | None = None) -> Text:
        """Returns one person's line, with its time where lines are not in place."""
        verdict = face.verdict
        line = Text("  " if time_s is None else f"{clock(int(time_s)):>9}  ")
        line.append(f"person {face.track:<3}")
        line.append(f" {verdict.label:<12}", style=STYLES[verdict.label])
        share = "" if verdict.fake_probability is None else f"{verdict.fake_probability:.0%} fake"
        line.append(f" {share:>9}  ")
        if time_s is None:
            for value in self._history[face.track]:
                bar = self._bars[min(int(value * len(self._bars)), len(self._bars) - 1)]
                side = verdict.label if value >= self._threshold else "real"
                line.append(bar, style=STYLES[side].removeprefix("bold "))
        if verdict.label == "inconclusive" and verdict.reasons:
            line.append("  " + "; ".join(REASON_WORDS[reason] for reason in verdict.reasons), style="dim")
        return line
