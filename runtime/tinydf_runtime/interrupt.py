"""Ctrl-C -> an event, so that what was done can be written."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


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
