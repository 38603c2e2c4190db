"""File -> its frames, decoded in a child process that may crash, hang or run out of memory without harm."""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import socket
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, get_args

from tinydf_runtime.errors import (
    InputTimeoutError,
    NoResourcesError,
    UnavailableError,
    UnreadableInputError,
    is_no_resources,
)
from tinydf_runtime.io.video import VideoInfo
from tinydf_runtime.sandbox.ring import Ring, make_memory
from tinydf_runtime.sandbox.start import AVAILABLE, ask_server, running
from tinydf_runtime.trust import strict
from tinydf_runtime.types import Adjustment, Frame, Reason

STALLED_S = 60.0
"""Seconds without a decoded frame after which a decoder counts as hanging."""
_TICK_MS = 200
_LONGEST_LINE = 1 << 16
_MOST_COUNT = 1 << 53
_MOST_S = 1e300


class ChildFrames:
    """Reads a file's frames once, in order, in a child process; a ``FrameReader``.

    A picture is valid until the next one is requested; then its memory is reused. Decoding starts on entering, and
    errors are raised with the first frame; what goes wrong after that ends the frames, and ``caveats`` says so.

    Attributes:
        frames_decoded: Frames decoded so far, those that sampling skipped included.
        truncated: True when the file ended too early, or its decoding did.
        timed_out: Whether the time ran out.
        adjustments: What was done to the pictures, beside turning them upright.
        caveats: Reasons not to rely on them.
        decode_s: Time that decoding took.
    """

    def __init__(
        self,
        source: str | int,
        sample_fps: float | None,
        kind: Literal["video", "image"] = "video",
        max_pixels: int | None = None,
    ) -> None:
        """Takes what to read; starts nothing yet.

        Args:
            source: Path of a file.
            sample_fps: Frames wanted a second, None for all.
            kind: What the file is, see ``kind_of``.
            max_pixels: See ``Limits``.
        """
        self._path = str(source)
        self._request = {"path": self._path, "kind": kind, "sample_fps": sample_fps, "max_pixels": max_pixels}
        self._deadline_s: float | None = None
        self._stop: threading.Event | None = None
        self._channel: socket.socket | None = None
        self._ring: Ring | None = None
        self._poll = select.poll()
        self._buffer = b""
        self._lent = self._over = self._some = False
        self._refused: str | None = None
        self._info: VideoInfo | None = None
        self.frames_decoded: int = 0
        self.truncated: bool = False
        self.timed_out: bool = False
        self.adjustments: tuple[Adjustment, ...] = ()
        self.caveats: tuple[Reason, ...] = ()
        self.decode_s: float = 0.0

    def __enter__(self) -> ChildFrames:
        """Starts to decode, and returns itself.

        Raises:
            UnavailableError: No process can be started, and not for lack of resources.
        """
        try:
            self._start()
        except (OSError, UnavailableError) as error:
            if not is_no_resources(error):
                raise
            # Like every error of one input, it is raised with the first frame.
            self._refused = str(error)
        return self

    def _start(self) -> None:
        """Asks for a child that decodes."""
        try:
            memory = make_memory()
        except OSError as error:
            if error.errno != errno.EFBIG:
                raise
            raise UnavailableError(
                "memory for pictures: is more than ulimit -f allows. Raise that limit, or use --no-sandbox."
            ) from error
        try:
            self._ring = Ring(memory)
            # The server may have been started in another folder than the one that the path is meant in.
            request = json.dumps({**self._request, "folder": _current_folder()})
            self._channel = ask_server(request.encode(), memory)
            self._poll.register(self._channel, select.POLLIN)
        finally:
            os.close(memory)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the channel; the child then exits."""
        if self._channel is not None:
            self._channel.close()
        self._ring = None

    def bound(self, deadline_s: float | None, stop: threading.Event | None) -> None:
        """Sets when waiting for a frame ends: at a time of ``time.monotonic``, and when the event is set."""
        self._deadline_s, self._stop = deadline_s, stop

    def __iter__(self) -> ChildFrames:
        """Returns itself."""
        return self

    def __next__(self) -> Frame:
        """Returns the next wanted frame.

        Raises:
            UnreadableInputError: The file cannot be opened, or not one frame could be decoded.
            InputTimeoutError: The same, because it took too long.
            NoResourcesError: The same, because the machine is busy; the file may be good.
        """
        if self._refused is not None:
            self._fail(self._refused, busy=True)
        if self._lent:
            self._give_back()
        while not self._over:
            if self._ring is None or (message := self._receive()) is None:
                break
            if (frame := self._take(message)) is not None:
                return frame
        self._over = True
        raise StopIteration

    @property
    def info(self) -> VideoInfo:
        """Header facts of the file; known after the first frame."""
        assert self._info is not None
        return self._info

    def _take(self, message: dict[str, Any]) -> Frame | None:
        """Returns the frame that a message brings, None where it brings something else.

        Raises:
            UnreadableInputError: The child could read nothing.
            NoResourcesError: The same, for lack of resources and not because of the file.
        """
        try:
            self._note_facts(message)
            if "opened" in message:
                self._info = _read_info(message["opened"])
            if "frame" in message:
                index, time_s, *place = strict.rows(message["frame"], 5)
                at, height, width = (strict.whole(one, 0, _MOST_COUNT) for one in place)
                assert self._ring is not None
                image = self._ring.view(at, height, width)
                frame = Frame(strict.whole(index, 0, _MOST_COUNT), strict.finite(time_s, -_MOST_S, _MOST_S), image)
                self._lent = self._some = True
                return frame
        # A compromised child must not be able to do more than end this input.
        except (ValueError, LookupError) as error:
            self._fail(f"{self._path}: its decoder gave no sense ({error}). Check the file; it may be hostile.")
        if "error" in message:
            self._fail(str(message["error"]))
        if "refused" in message:
            self._fail(str(message["refused"]), busy=True)
        if message.get("exit", 0) in (None, -signal.SIGKILL):
            # Only the server says how a child ended, and no limit kills one: both were ended from outside.
            self._fail("its decoder was ended from outside, as systems do that run out of memory", busy=True)
        if "exit" in message:
            self._fail(f"{self._path}: {_ending(message['exit'])}. The file is damaged or hostile; convert it first.")
        self._over = self._over or "end" in message
        return None

    def _note_facts(self, message: dict[str, Any]) -> None:
        """Notes what is known beside the pictures."""
        if "decoded" in message:
            self.frames_decoded = strict.whole(message["decoded"], 0, _MOST_COUNT)
            self.adjustments = _names(message["adjustments"], Adjustment)
            self.caveats = _names(message["caveats"], Reason)
            self.truncated = strict.flag(message["truncated"])
        self.decode_s = strict.finite(message.get("decode_s", self.decode_s), 0, _MOST_S)

    def _fail(self, reason: str, busy: bool = False) -> None:
        """Ends the frames.

        Args:
            reason: In one line; what the machine lacks, where that is it.
            busy: The machine is to blame.

        Raises:
            UnreadableInputError: There was none.
            NoResourcesError: There was none, and the file may be good.
        """
        self._over = True
        reason = " ".join(reason.split())
        if not self._some and busy:
            raise NoResourcesError(
                f"{self._path}: could not be decoded now ({reason}). It may be good: try again when less runs here."
            )
        if not self._some:
            raise UnreadableInputError(reason)
        self.truncated = True
        self.caveats = (*self.caveats, "decoding_failed")

    def _give_back(self) -> None:
        """Returns the previous picture's memory to the child."""
        self._lent = False
        if self._channel is not None:
            try:
                self._channel.send(b".")
            except OSError:
                # It is gone; what it said before that is still to be read.
                return

    def _receive(self) -> dict[str, Any] | None:
        """Returns the child's next message, None if the wait was ended.

        Raises:
            InputTimeoutError: Time ran out before the first frame.
        """
        assert self._channel is not None and self._ring is not None
        moved_s, progress = time.monotonic(), self._ring.progress
        while b"\n" not in self._buffer:
            if self._ring.progress != progress:
                moved_s, progress = time.monotonic(), self._ring.progress
            if not self._poll.poll(_TICK_MS):
                if self._is_late(moved_s):
                    return None
                continue
            try:
                more = self._channel.recv(1 << 15)
            except ConnectionResetError:
                # It died with messages unread. What it and the server sent before can still be read.
                continue
            self._buffer += more
            if not more:
                return {"exit": None}
            if len(self._buffer) > _LONGEST_LINE:
                break
        line, _, self._buffer = self._buffer.partition(b"\n")
        try:
            return strict.mapping(strict.parse(line.decode(), _LONGEST_LINE), 100)
        except ValueError as error:
            return {"error": f"{self._path}: its decoder gave no sense ({error}). Check the file; it may be hostile."}

    def _is_late(self, moved_s: float) -> bool:
        """Returns whether waiting is over.

        Raises:
            InputTimeoutError: It is, and there was no frame.
        """
        now_s = time.monotonic()
        if self._stop is not None and self._stop.is_set():
            return True
        overdue = self._deadline_s is not None and now_s >= self._deadline_s
        if not overdue and now_s - moved_s < STALLED_S:
            return False
        self.timed_out = True
        if not self._some:
            found = "no picture in the time given" if overdue else f"its decoder hangs for {STALLED_S:.0f} s"
            raise InputTimeoutError(f"{self._path}: {found}. Check that the file plays, or allow more time.")
        return True


def _current_folder() -> str | None:
    """Returns the current folder, None where it was removed: absolute paths need none."""
    try:
        return str(Path.cwd())
    except OSError:
        return None


def _read_info(value: object) -> VideoInfo:
    """Returns what a child says about its file.

    Raises:
        StrictError: It is no such thing.
    """
    fields = strict.Fields(value)
    width, height, rotation_deg = (
        fields.take(name, strict.whole, 0, _MOST_COUNT) for name in ("width", "height", "rotation_deg")
    )
    fps, duration_s = (
        fields.take(name, strict.optional, strict.finite, -_MOST_S, _MOST_S) for name in ("fps", "duration_s")
    )
    frames_expected = fields.take("frames_expected", strict.optional, strict.whole, 0, _MOST_COUNT)
    fields.end()
    return VideoInfo(width, height, fps, duration_s, rotation_deg, frames_expected)


def _names(value: object, known: Any) -> tuple[Any, ...]:
    """Returns a list of names of which all are known.

    Raises:
        StrictError: It is no such list.
    """
    return tuple(strict.one_of(one, get_args(known)) for one in strict.rows(value, 100))


def _ending(code: object) -> str:
    """Returns how a decoder ended, in words."""
    if code == -signal.SIGXCPU:
        return "decoding one picture takes more computing time than is allowed"
    if isinstance(code, int) and code < 0:
        # Not every number has a name.
        name = {one.value: one.name for one in signal.Signals}.get(-code, f"signal {-code}")
        return f"its decoder crashed ({name})"
    return "its decoder ended without a word"


def start_early() -> None:
    """Starts the fork server early, so that it is ready when the first file is read."""
    if not AVAILABLE:
        return
    try:
        running()
    except UnavailableError:
        # Said when a file is to be read.
        return
