"""A stream that tinydf-run follows: lines for people, JSON lines for programs, a window; at the end its report."""

from __future__ import annotations

from contextlib import ExitStack, suppress

import cv2
from rich.console import Console

from tinydf_runtime.analyzer import Analyzer
from tinydf_runtime.cli.live_options import LiveWishes
from tinydf_runtime.cli.live_terminal import LiveShow
from tinydf_runtime.errors import UnavailableError, UnknownFormatError
from tinydf_runtime.io.address import mask_credentials
from tinydf_runtime.live.jsonl import moment_line, print_line
from tinydf_runtime.render.window import LiveWindow
from tinydf_runtime.results import InputReport
from tinydf_runtime.watch import Limits


def follow_stream(source: str, analyzer: Analyzer, limits: Limits, wishes: LiveWishes, silent: bool) -> InputReport:
    """Shows a stream's moments until it ends, a limit is reached or its window is closed; returns what was found.

    Raises:
        MissingExtraError: A window is asked for and there is none.
        OutputError: Whoever read the lines has gone.
    """
    name = mask_credentials(source)
    threshold = analyzer.threshold
    with ExitStack() as stack:
        window = None
        if wishes.window:
            window = stack.enter_context(LiveWindow(f"TinyDF {name}", analyzer.spec.crop.margin))
        lines = stack.enter_context(LiveShow(name, threshold, Console(quiet=silent)))
        live = stack.enter_context(analyzer.stream(source, limits, wishes.max_latency_s, wishes.give_up_s))
        # Its report says what is wrong.
        with suppress(UnavailableError, UnknownFormatError, cv2.error):
            for moment in live:
                if wishes.json_lines:
                    print_line(moment_line(moment, source))
                lines.show(moment)
                if window is not None and not window.show(moment):
                    break
    return live.report()
