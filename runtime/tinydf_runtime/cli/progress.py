"""Progress of a long command: a bar on a terminal, a line every 20 seconds elsewhere; always on stderr."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from typing import TextIO

from tinydf_runtime.render.words import clock

EVERY_S = 20.0
"""Seconds between two lines; at most 30 are promised, on a busy machine too."""
WINDOW_S = 120.0
"""Window of the rate: a run's beginning tells little about its end."""


class ProgressBar:
    """Shows the progress of one piece of work.

    Where stderr is no terminal, a thread of its own prints the lines, so that one step that takes minutes is not silent
    either. Work that ends before the first line is due prints nothing.

    Example:
        ``with ProgressBar("train", total=steps, unit="steps") as progress: progress.advance(step, loss=loss, auc=auc)``
    """

    def __init__(
        self,
        name: str,
        total: float | None = None,
        *,
        unit: str = "",
        quiet: bool = False,
        every_s: float = EVERY_S,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepares it; nothing is shown before the ``with`` block.

        Args:
            name: What is being done.
            total: Units of work in all, None while that is not known.
            unit: What is counted, in the plural: "steps".
            quiet: Shows nothing.
            every_s: Seconds between two lines where stderr is no terminal.
            now: Clock, in seconds.
        """
        self._name, self._total, self._unit, self._quiet = _printable(name), total, unit, quiet
        self._every_s, self._now = every_s, now
        self._began_s = now()
        self._points: deque[tuple[float, float]] = deque()
        self._figures: dict[str, float | str] = {}
        self._lock = threading.Lock()
        self._shown = ExitStack()
        self._draw: Callable[[], None] = lambda: None

    def __enter__(self) -> ProgressBar:
        """Begins to show it."""
        if self._quiet:
            return self
        if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            self._draw = self._open_bar()
        else:
            lines = _Lines(self.line, sys.stderr, self._every_s)
            self._shown.callback(lines.close)
        return self

    def __exit__(self, *exception: object) -> None:
        """Removes the bar, or prints a last line where there was one before."""
        self._draw = lambda: None
        self._shown.close()

    def advance(
        self, done: float, total: float | None = None, *, stage: str | None = None, **figures: float | str | None
    ) -> None:
        """Tells how far the work is.

        Args:
            done: Units of work done so far, those of an earlier run included: the rate counts from the first call on.
            total: Units in all, where that was not known or has changed.
            stage: What is being done now; a new stage restarts count and clock.
            figures: What is worth showing beside it, such as ``loss=0.41``; a figure stays until the next one of its
                name comes, and None changes nothing.
        """
        with self._lock:
            now_s = self._now()
            if stage is not None and _printable(stage) != self._name:
                self._name, self._total = _printable(stage), total
                self._points.clear()
            if total is not None:
                self._total = total
            self._points.append((now_s, float(done)))
            # One point that is older stays: from it on, the window is counted.
            while len(self._points) > 2 and self._points[1][0] <= now_s - WINDOW_S:
                self._points.popleft()
            self._figures.update({name: value for name, value in figures.items() if value is not None})
            self._draw()

    def line(self) -> str:
        """Returns the time of day, what is done of what, the rate, the time left and the figures, as one line."""
        with self._lock:
            return f"[{time.strftime('%H:%M:%S')}] {self._name}: {self._words()}"

    def _words(self) -> str:
        """Returns what is done, the rate, the time that has passed, the time left and the figures."""
        now_s = self._now()
        first_s, first = self._points[0] if self._points else (now_s, 0.0)
        rate = (self._done() - first) / (now_s - first_s) if now_s > first_s else 0.0
        words = [count] if (count := self._count()) else []
        words += [f"{rate:.3g} {self._unit}".rstrip() + "/s"] if rate > 0 else []
        words.append(f"{clock(round(now_s - self._began_s))} so far")
        if rate > 0 and self._total is not None:
            words.append(f"ETA {clock(round(max(0.0, self._total - self._done()) / rate))}")
        words += [f"{name} {_figure(value)}" for name, value in self._figures.items()]
        return ", ".join(words)

    def _count(self) -> str:
        done = self._done()
        if self._total is None:
            return f"{done:.0f} {self._unit}".rstrip() if done else ""
        share = f" ({done / self._total:.0%})" if self._total else ""
        return f"{done:.0f}/{self._total:.0f} {self._unit}".rstrip() + share

    def _done(self) -> float:
        return self._points[-1][1] if self._points else 0.0

    def _open_bar(self) -> Callable[[], None]:
        """Puts a bar on the terminal and returns the function that updates it."""
        # Importing it takes longer than judging a short video.
        from rich import progress
        from rich.console import Console

        bar = progress.Progress(
            progress.TextColumn("{task.description}", markup=False),
            progress.BarColumn(),
            progress.TextColumn("{task.fields[words]}", markup=False),
            console=Console(stderr=True),
            transient=True,
            # Else what is printed meanwhile would go to stderr too.
            redirect_stdout=False,
            redirect_stderr=False,
        )
        task = bar.add_task(self._name, total=self._total, words="")
        self._shown.enter_context(bar)

        def draw() -> None:
            bar.update(
                task,
                description=self._name,
                completed=self._done(),
                total=self._total,
                words=self._words(),
            )

        return draw


class _Lines:
    """A thread that prints a line every so many seconds until it is closed."""

    def __init__(self, line: Callable[[], str], stream: TextIO, every_s: float) -> None:
        self._line, self._stream, self._every_s = line, stream, every_s
        self._closed = threading.Event()
        self._printed = False
        self._thread = threading.Thread(target=self._print, name="tinydf-progress", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closed.set()
        self._thread.join()
        if self._printed:
            self._say()

    def _print(self) -> None:
        while not self._closed.wait(self._every_s):
            self._say()

    def _say(self) -> None:
        # A closed stderr must not end the work.
        try:
            self._stream.write(f"{self._line()}\n")
            self._stream.flush()
            self._printed = True
        except (OSError, ValueError):
            self._closed.set()


def _printable(name: str) -> str:
    """Returns a name, often a file's, without what would move a terminal's cursor."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)


def _figure(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"
