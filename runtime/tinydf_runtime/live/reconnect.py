"""An address -> one connection after the other, for as long as the stream comes back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from tinydf_runtime.errors import UnavailableError
from tinydf_runtime.io.video import VideoReader

FIRST_WAIT_S = 0.5
"""First wait: a restarted server, or one that dropped a connection, is back at once."""
LONGEST_WAIT_S = 8.0
"""Longest wait between tries: a rebooted camera is found within this time, and one that is off is not flooded."""
GIVE_UP_S = 60.0
"""Default time without pictures after which a stream counts as ended; a network camera boots within a minute."""


def back_off() -> Iterator[float]:
    """Yields how many seconds to wait before each try: twice as long each time, up to ``LONGEST_WAIT_S``."""
    wait_s = FIRST_WAIT_S
    while True:
        yield wait_s
        wait_s = min(2 * wait_s, LONGEST_WAIT_S)


def keep_connected(
    source: str | int, sample_fps: float | None, give_up_s: float, leave_within: Callable[[float], bool]
) -> Iterator[VideoReader]:
    """Yields an open connection, and the next one when its user is done with it.

    The first connection is tried once, so that a wrong address fails at once. A connection without pictures does not
    reset the clock.

    Args:
        source: Camera number or address.
        sample_fps: Frames wanted a second, None for all.
        give_up_s: How long after the last picture a stream is tried again; 0 for not at all.
        leave_within: Waits for so many seconds; returns early, and True, when there is to be no further connection.

    Raises:
        UnavailableError: The first connection cannot be made.
    """
    lost_s, waits = None, back_off()
    while not leave_within(0.0):
        connection = _connect(source, sample_fps, first=lost_s is None)
        if connection is not None:
            with connection:
                yield connection
            if connection.frames_decoded or lost_s is None:
                lost_s, waits = time.monotonic(), back_off()
        left_s = (lost_s or 0.0) + give_up_s - time.monotonic()
        if left_s <= 0 or leave_within(min(next(waits), left_s)):
            return


def _connect(source: str | int, sample_fps: float | None, first: bool) -> VideoReader | None:
    """Opens a source; None if it is still unreachable.

    Raises:
        UnavailableError: The first try failed.
    """
    try:
        return VideoReader(source, sample_fps)
    except UnavailableError:
        if first:
            raise
        return None
