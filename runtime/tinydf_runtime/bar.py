"""A progress bar on stderr, where somebody sees it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tinydf_runtime.watch import Progress as ReportProgress


@contextmanager
def task(name: str, silent: bool) -> Iterator[ReportProgress]:
    """Shows one piece of work as a bar on stderr, on a terminal alone; yields what to call as it goes on."""
    if silent or not (sys.stderr.isatty() or os.environ.get("FORCE_COLOR")):
        yield lambda done_s, total_s: None
        return
    # Takes longer to import than a short video to judge.
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.completed:.0f} s"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        # Else what is printed meanwhile would go to stderr too.
        redirect_stdout=False,
        redirect_stderr=False,
    )
    with bar:
        number = bar.add_task(name, total=None)

        def report(done_s: float, total_s: float | None) -> None:
            bar.update(number, completed=done_s, total=total_s)

        yield report
