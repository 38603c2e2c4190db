"""Ctrl-C -> an event, so that what was done can be written; and an end that does not wait for a hanging source."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from tinydf_runtime.cli.command import OneLineCommand


class PromptCommand(OneLineCommand):
    """A command whose process ends at once when it is done.

    A camera or server may not let go of a thread for seconds, and to take the networks' libraries down piece by piece
    takes as long as judging some ten frames. Nothing is left to be written by then.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the command and ends the process. With arguments, given from Python, that is left to the caller."""
        try:
            return self.main(*args, **kwargs)
        except SystemExit as end:
            if args or kwargs:
                raise
            # What cannot be written is reported where the process ends the usual way.
            with suppress(OSError):
                for stream in (sys.stdout, sys.stderr):
                    stream.flush()
                os._exit(end.code if isinstance(end.code, int) else 1)
            raise


def leave_interrupts_to_parent() -> None:
    """Makes a worker process deaf to Ctrl-C, which a terminal sends to all: its parent saves first, then ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def stopping_on_interrupt(stop: threading.Event) -> Iterator[None]:
    """Makes the first Ctrl-C end the work at the next frame, and the second one at once."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    # Only the main thread may set handlers; elsewhere there is no Ctrl-C to handle.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        # None stands for a handler that was not set from Python, and cannot be put back from here.
        signal.signal(signal.SIGINT, signal.SIG_DFL if before is None else before)
