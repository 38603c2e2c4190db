"""A camera or address -> its newest frames: bounded memory and delay, and a new connection where one breaks off."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import TracebackType

from tinydf_runtime.errors import UnavailableError
from tinydf_runtime.io.address import mask_credentials
from tinydf_runtime.io.video import VideoInfo, VideoReader
from tinydf_runtime.results import Gap, GapReason
from tinydf_runtime.types import Frame
from tinydf_runtime.watch import Limits

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


MAXIMUM_GAPS = 1000
"""Bound on recorded gaps; the shortest are discarded first."""
STALLED_S = 3.0
"""A connection that was silent for this long before it broke off had stalled: the time limit of reading closed it."""
_LOOK_UP_S = 0.1
"""Poll interval of the stop flag."""
_FAREWELL_S = 0.3
"""How long closing waits for the reading thread. A thread stuck in a read ends later, at that read's timeout."""
_THREAD_NAME = "tinydf-stream"


class StreamReader:
    """Reads a live source in a thread and hands out the newest frame. It is iterated once, like a ``VideoReader``.

    One frame is buffered and a newer one replaces it: neither memory nor delay can grow, however
    slow the consumer is. Only a file on a web server is read frame by frame, since none of its frames is late.
    Within one connection OpenCV scales pictures whose size changes to the first one's.

    Attributes:
        info: Of the current connection: size and rotation may change when a camera comes back.
        live: See ``VideoReader``.
        truncated: True when the stream broke off and did not come back, or a file on a web server was not complete.
        frames_dropped: Sampled frames that newer ones replaced.
    """

    def __init__(
        self, source: str | int, sample_fps: float | None, limits: Limits | None = None, give_up_s: float = GIVE_UP_S
    ) -> None:
        """Opens a source.

        Args:
            source: Camera number or address.
            sample_fps: Frames wanted a second, None for all.
            limits: When to stop; also while the source hangs.
            give_up_s: How long after its last picture a stream that broke off is tried again.

        Raises:
            UnavailableError: The source cannot be opened, or does not open before the limits end it.
        """
        self.live: bool = True
        self.truncated: bool = False
        self.frames_dropped: int = 0
        self.started_s: float = time.monotonic()
        self._source, self._sample_fps, self._give_up_s = source, sample_fps, give_up_s
        self._limits = limits or Limits()
        self._ready = threading.Condition()
        self._leave = threading.Event()
        self._infos: list[VideoInfo] = []
        self._slot: list[Frame] = []
        self._gaps: list[Gap] = []
        self._lost: tuple[float, GapReason] | None = None
        self._decoded_before = 0
        self._connection: VideoReader | None = None
        self._ended: list[Exception | None] = []
        self._over_s: float | None = None
        # No daemon: a thread that is in OpenCV when Python takes itself down would take the process down with it.
        self._thread = threading.Thread(target=self._read, name=_THREAD_NAME)
        self._thread.start()
        self._wait_until_open()

    def __enter__(self) -> StreamReader:
        """Returns itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the source."""
        self.close()

    def close(self) -> None:
        """Ends the reading. A thread that hangs in a read is left behind and closes the source when that returns."""
        with self._ready:
            self._leave.set()
            self._over_s = self._now_s() if self._over_s is None else self._over_s
            self._ready.notify_all()
        self._thread.join(_FAREWELL_S)

    @property
    def info(self) -> VideoInfo:
        """What is known of the current connection."""
        return self._infos[-1]

    @property
    def frames_decoded(self) -> int:
        """Frames decoded so far over all connections."""
        with self._ready:
            return self._decoded_before + (self._connection.frames_decoded if self._connection is not None else 0)

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """The times without frames so far, the one that lasts included; ``MAXIMUM_GAPS`` at most."""
        with self._ready:
            if self._lost is None:
                return tuple(self._gaps)
            start_s, reason = self._lost
            end_s = self._now_s() if self._over_s is None else self._over_s
            return (*self._gaps, Gap(round(start_s, 3), round(max(end_s, start_s), 3), reason))

    def __iter__(self) -> Iterator[Frame]:
        """Yields the newest frame each time one is asked for, until the stream ends or the limits do it.

        Time stamps are seconds since the start by a clock that never jumps; of a file on a web server, its own.

        Raises:
            UnavailableError: The source never delivers a picture.
        """
        while not self._is_over():
            with self._ready:
                self._ready.wait_for(lambda: self._slot or self._ended, timeout=_LOOK_UP_S)
                frame = self._slot.pop() if self._slot else None
                ended = frame is None and bool(self._ended)
                self._ready.notify_all()
            if ended:
                break
            if frame is not None:
                yield frame
        if self._ended and self._ended[0] is not None and not self._is_over():
            raise self._ended[0]

    def _wait_until_open(self) -> None:
        """Waits for the first connection.

        Raises:
            UnavailableError: It cannot be made, or the limits came first.
        """
        while not self._infos and not self._ended and not self._is_over():
            with self._ready:
                self._ready.wait_for(lambda: self._infos or self._ended, timeout=_LOOK_UP_S)
        if self._infos:
            return
        self.close()
        if self._ended and self._ended[0] is not None:
            raise self._ended[0]
        shown = mask_credentials(self._source)
        raise UnavailableError(f"{shown}: had not answered when it was stopped. Check the camera or address.")

    def _is_over(self) -> bool:
        """Returns whether a limit was reached."""
        stop, seconds = self._limits.stop, self._limits.max_seconds
        return (stop is not None and stop.is_set()) or (seconds is not None and self._now_s() >= seconds)

    def _now_s(self) -> float:
        """Returns the seconds since the start."""
        return time.monotonic() - self.started_s

    def _leaves_now(self) -> bool:
        """Returns whether the reading is to end: it is closed, or the program ends."""
        return self._leave.is_set() or not threading.main_thread().is_alive()

    def _leaves(self, within_s: float) -> bool:
        """Waits for so long, and tells whether the reading is to end; if so, at once."""
        end_s = time.monotonic() + within_s
        while not self._leaves_now() and time.monotonic() < end_s:
            self._leave.wait(min(_LOOK_UP_S, within_s))
        return self._leaves_now()

    def _read(self) -> None:
        """Reads until the end. Every error is handed on: the consumer would otherwise wait for ever."""
        error: Exception | None = None
        try:
            for connection in keep_connected(self._source, self._sample_fps, self._give_up_s, self._leaves):
                self._read_connection(connection)
                if not connection.live:
                    self.truncated = connection.truncated
                    break
            else:
                self.truncated = not self._leaves_now()
        except Exception as caught:
            error = caught
        finally:
            with self._ready:
                self._ended.append(error)
                self._over_s = self._now_s() if self._over_s is None else self._over_s
                self._ready.notify_all()

    def _read_connection(self, connection: VideoReader) -> None:
        """Offers a connection's frames.

        Raises:
            UnavailableError: It is the first one, and delivers none.
        """
        with self._ready:
            self._connection, self.live = connection, connection.live
            if not self._infos:
                self._infos[:] = [connection.info]
            self._ready.notify_all()
        opened_s = self._now_s()
        try:
            for frame in connection:
                if self._leaves_now():
                    return
                if connection.live:
                    opened_s = self._now_s() - frame.time_s
                    frame = replace(frame, time_s=opened_s + frame.time_s)
                self._offer(replace(frame, index=self._decoded_before + frame.index), connection)
        except UnavailableError:
            if self._lost is None:
                raise
        finally:
            self._lose(connection, opened_s + connection.last_s)

    def _offer(self, frame: Frame, connection: VideoReader) -> None:
        """Puts a frame where the user takes it, in the place of one that was not taken."""
        with self._ready:
            if self._lost is not None:
                start_s, reason = self._lost
                self._gaps.append(Gap(round(start_s, 3), round(max(frame.time_s, start_s), 3), reason))
                self._lost = None
                if len(self._gaps) > MAXIMUM_GAPS:
                    self._gaps.remove(min(self._gaps, key=lambda gap: gap.end_s - gap.start_s))
                self._infos[:] = [connection.info]
            if not connection.live:
                while self._slot and not self._leaves_now():
                    self._ready.wait(_LOOK_UP_S)
            self.frames_dropped += len(self._slot)
            self._slot[:] = [frame]
            self._ready.notify_all()

    def _lose(self, connection: VideoReader, last_s: float) -> None:
        """Notes that a connection is over, and since when nothing came."""
        with self._ready:
            self._decoded_before += connection.frames_decoded
            self._connection = None
            if self._lost is None and connection.live and not self._leave.is_set():
                silent_s = self._now_s() - last_s
                self._lost = last_s, "stalled" if silent_s >= STALLED_S else "ended"
