"""When a run saves its state, and Ctrl-C: the current step is finished and the state saved."""

from __future__ import annotations

import signal
import threading
import time
from typing import Any

SAVE_EVERY_S = 180.0


class Clock:
    """Hours trained, and when the state was saved last."""

    def __init__(self, hours_before: float) -> None:
        self._began_s = time.monotonic() - hours_before * 3600
        self._saved_s = time.monotonic()

    def hours(self) -> float:
        """Returns the hours trained, earlier sessions included."""
        return (time.monotonic() - self._began_s) / 3600

    def saved(self) -> None:
        """Begins to wait for the next save."""
        self._saved_s = time.monotonic()

    def save_is_due(self) -> bool:
        """Returns whether the state is older than ``SAVE_EVERY_S``."""
        return time.monotonic() - self._saved_s > SAVE_EVERY_S


class Interrupts:
    """Notes the first Ctrl-C, so that a step is finished and saved before the run ends; the second one ends it."""

    def __init__(self) -> None:
        self.seen = False

    def __enter__(self) -> Interrupts:
        self._before: Any = None
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _note(self, number: int, frame: object) -> None:
        if self.seen:
            raise KeyboardInterrupt
        self.seen = True
