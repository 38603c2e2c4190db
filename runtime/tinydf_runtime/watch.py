"""Frames of one input -> scores by track. Frames and crops are released; one compact record per face is kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from tinydf_runtime.faces.crop import lay_over_picture
from tinydf_runtime.faces.exemplars import Exemplars, as_bytes
from tinydf_runtime.io.ahead import Ahead
from tinydf_runtime.io.file_frames import FileFrames, FrameReader
from tinydf_runtime.io.video import VideoInfo
from tinydf_runtime.results import Status
from tinydf_runtime.sandbox.client import ChildFrames
from tinydf_runtime.steps import CroppedFace, FoundFaces, FrameStep
from tinydf_runtime.types import Adjustment, FaceScore, FaceScores, Frame, Reason, SmallFrame

BATCH = 4
"""Crops per batch. Eight are no faster per crop on a CPU, and take 60 MB more."""
FRAMES_AHEAD = 2 * BATCH
"""Frames whose faces are found and wait to be scored: as crops, some 150 KB a face."""

Progress = Callable[[float, float | None], None]
"""Called with the seconds of the input that are done, and its length in seconds, None where not known."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When to stop before an input ends.

    Attributes:
        max_seconds: Wall clock for one input, None for as long as it takes.
        stop: Set from another thread or a signal handler to end at the next frame; what was seen until then counts.
        max_pixels: Largest width times height that is read, None for no limit.
    """

    max_seconds: float | None = None
    stop: threading.Event | None = None
    max_pixels: int | None = None

    def clock(self) -> Callable[[], bool]:
        """Returns what tells, from now on, whether it is time to stop."""
        end_s = float("inf") if self.max_seconds is None else time.monotonic() + self.max_seconds
        return lambda: time.monotonic() >= end_s or (self.stop is not None and self.stop.is_set())


@dataclass(slots=True)
class Watch:
    """What was seen of one input.

    Attributes:
        step: Detects, tracks, crops and scores its frames.
        keep_maps: Keep each face's forgery map in its record.
        info: Header facts of the input.
        status: "ok", or why it was not seen to its end.
        interrupted: Whether it was stopped from outside.
        scores: Track id -> its faces in order of time.
        adjustments: See ``VideoReader``.
        caveats: See ``VideoReader``.
        exemplars: Crops worth showing and scoring again.
    """

    step: FrameStep
    keep_maps: bool = False
    info: VideoInfo | None = None
    status: Status = "ok"
    interrupted: bool = False
    frames_decoded: int = 0
    frames_scored: int = 0
    last_s: float = 0.0
    decode_s: float = 0.0
    detect_s: float = 0.0
    classify_s: float = 0.0
    adjustments: tuple[Adjustment, ...] = ()
    caveats: tuple[Reason, ...] = ()
    scores: dict[int, FaceScores] = field(default_factory=dict)
    exemplars: Exemplars = field(default_factory=Exemplars)
    _waiting: list[tuple[CroppedFace, SmallFrame | None]] = field(default_factory=list)

    def count(self, found: FoundFaces) -> None:
        """Counts a frame and its detection time."""
        self.frames_scored += not found.goes_on
        self.last_s = found.time_s
        self.detect_s += found.detect_s
        self.classify_s += found.crop_s

    def take(self, found: FoundFaces) -> None:
        """Takes the faces of a frame, and scores when a batch is full."""
        self.count(found)
        self._waiting += [(cropped, found.frame) for cropped in found.crops]
        while len(self._waiting) >= BATCH:
            self._score_waiting(BATCH)

    def finish(self) -> None:
        """Scores the crops that still wait."""
        if self._waiting:
            self._score_waiting(len(self._waiting))

    def score(
        self, faces: list[tuple[CroppedFace, SmallFrame | None]]
    ) -> tuple[list[FaceScore], list[NDArray[np.float32]]]:
        """Scores faces in one batch, and keeps the crops that are worth showing.

        Args:
            faces: Each with its shrunk frame.

        Returns:
            The records with their probabilities, and the forgery maps as they lie over the frames: h x w, 0..1.
        """
        started = time.perf_counter()
        records, maps = self.step.score([one for one, _ in faces])
        laid = [lay_over_picture(m, one.face) for m, (one, _) in zip(maps, faces, strict=True)]
        if self.keep_maps:
            records = [replace(record, forgery_map=as_bytes(m)) for record, m in zip(records, laid, strict=True)]
        for (one, frame), record, forgery_map in zip(faces, records, maps, strict=True):
            self.exemplars.offer(one.track, record, one.crop, forgery_map, frame)
        self.classify_s += time.perf_counter() - started
        return records, laid

    def _score_waiting(self, count: int) -> None:
        """Scores the crops that have waited longest."""
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        records, _ = self.score(batch)
        for (one, _), record in zip(batch, records, strict=True):
            self.scores.setdefault(one.track, FaceScores()).append(record)


def watch_video(
    frames: FrameReader, watch: Watch, progress: Progress | None, limits: Limits, *, overlap: bool = True
) -> None:
    """Feeds the sampled frames of a video to ``watch`` until its end or a limit, which this thread checks.

    Args:
        frames: Their source, entered. The user's own frames are taken and analysed in this thread, one by one.
        watch: What remembers them.
        progress: Called after each sampled frame.
        limits: When to stop early.
        overlap: Find faces in a thread of its own while others are scored. The result is the same either way.

    Raises:
        UnreadableInputError: No frame of the file can be read.
    """
    deadline = None if limits.max_seconds is None else time.monotonic() + limits.max_seconds
    stopped_at: int | None = None
    with ExitStack() as stack:
        all_found = _find_all(iter(frames), watch)
        overlap = overlap and isinstance(frames, FileFrames | ChildFrames)
        if isinstance(frames, ChildFrames):
            frames.bound(deadline, limits.stop)
        ahead = stack.enter_context(Ahead(all_found, FRAMES_AHEAD, "tinydf-find")) if overlap else all_found
        for found in ahead:
            watch.take(found)
            if progress:
                progress(found.time_s, frames.info.duration_s)
            if deadline is not None and time.monotonic() >= deadline:
                watch.status = "timeout"
            elif limits.stop is not None and limits.stop.is_set():
                watch.interrupted = True
            else:
                continue
            stopped_at = found.index
            break
    watch.finish()
    watch.info = frames.info
    # Frames decoded ahead of a stop were not analysed.
    watch.frames_decoded = frames.frames_decoded if stopped_at is None else stopped_at + 1
    _note_facts(frames, watch)
    if stopped_at is None and frames.truncated:
        watch.status = "truncated"


def watch_image(frames: FrameReader, watch: Watch, limits: Limits) -> None:
    """Feeds the pictures of one image file to ``watch``; most files hold a single one.

    Args:
        frames: Where they come from, entered.
        watch: What remembers them.
        limits: When to stop waiting for them.

    Raises:
        UnreadableInputError: None can be decoded.
    """
    if isinstance(frames, ChildFrames):
        frames.bound(None if limits.max_seconds is None else time.monotonic() + limits.max_seconds, limits.stop)
    is_over = limits.clock()
    for found in _find_all(iter(frames), watch):
        if is_over() and watch.frames_scored:
            watch.interrupted = limits.stop is not None and limits.stop.is_set()
            watch.status = watch.status if watch.interrupted else "timeout"
            break
        watch.take(found)
    watch.finish()
    watch.info = frames.info
    watch.frames_decoded = frames.frames_decoded
    _note_facts(frames, watch)
    if frames.truncated and watch.status == "ok":
        watch.status = "truncated"


def _note_facts(frames: FrameReader, watch: Watch) -> None:
    """Copies what the decoder reports besides the pictures."""
    watch.adjustments = frames.adjustments
    watch.caveats = frames.caveats
    if isinstance(frames, FileFrames | ChildFrames):
        watch.decode_s = frames.decode_s
    if isinstance(frames, ChildFrames) and frames.timed_out:
        watch.status = "timeout"


def _find_all(frames: Iterator[Frame], watch: Watch) -> Generator[FoundFaces, None, None]:
    """Yields the faces found in each frame, and adds up the time spent waiting for frames."""
    while True:
        started = time.perf_counter()
        frame = next(frames, None)
        watch.decode_s += time.perf_counter() - started
        if frame is None:
            return
        yield from watch.step.find_parts(frame)
        # Frees the frame before the next one is waited for.
        del frame
