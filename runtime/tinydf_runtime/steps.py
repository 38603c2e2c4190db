"""Frames -> scored faces by track. Frames and crops are let go of; one compact record a face stays."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from tinydf_runtime.engines.engine import Engine
from tinydf_runtime.faces.detector import FaceDetector
from tinydf_runtime.faces.scores import FaceScores
from tinydf_runtime.faces.search import FRAME_PARTS, PICTURE_PARTS, search_in_parts, smallest_face_px
from tinydf_runtime.faces.tracker import FaceTracker
from tinydf_runtime.io.ahead import Ahead
from tinydf_runtime.io.file_frames import FileFrames
from tinydf_runtime.io.video import VideoInfo
from tinydf_runtime.results import Adjustment, Status
from tinydf_runtime.sandbox.client import ChildFrames
from tinydf_runtime.scoring import crop_tracked, score_crops
from tinydf_runtime.types import Face, FaceScore, Frame, Image, Reason, SmallFrame
from tinydf_runtime.verdict.exemplars import FaceAlbum, shrink_frame

BATCH = 4
"""Crops scored at once. Eight take as long each on a CPU, and 60 MB more."""
SIGHTS_AHEAD = 2 * BATCH
"""Frames whose faces are found and wait to be scored: as crops, some 150 KB a face."""
SEARCH_STEP_S = 1.0
"""Time between two searches in parts that find nothing."""
LITTLE_FACE = 0.08
"""A video whose largest face is narrower than this share of its long side may show smaller ones, missed so far."""

Progress = Callable[[float, float | None], None]
"""Called with the seconds of the input done, and its length where known."""


class Detector(Protocol):
    """What finds faces; ``FaceDetector`` is the one that comes with TinyDF."""

    @property
    def name(self) -> str:
        """Its name, for reports."""

    @property
    def sha256(self) -> str:
        """Hash of its file, or what else tells its versions apart."""

    def detect(self, image: Image) -> list[Face]:
        """Returns the faces of an H x W x 3 BGR uint8 picture."""


class FrameSource(Protocol):
    """What gives the frames of an input in order; see ``VideoReader``. The facts are known once there was a frame."""

    @property
    def info(self) -> VideoInfo:
        """What the input says about itself."""

    @property
    def frames_decoded(self) -> int:
        """Frames decoded so far."""

    @property
    def truncated(self) -> bool:
        """Whether the input had promised more."""

    def __iter__(self) -> Iterator[Frame]:
        """Yields the sampled frames."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When to stop before an input ends.

    Attributes:
        max_seconds: Wall clock for one input, None for as long as it takes.
        stop: Set from another thread or a signal handler to end at the next frame; what was seen until then counts.
    """

    max_seconds: float | None = None
    stop: threading.Event | None = None


@dataclass(frozen=True, slots=True)
class Sight:
    """What is left of a frame once its faces are found and cut out.

    Attributes:
        index: Of the frame.
        time_s: Of the frame.
        crops: Track, record with its probability still to come, and RGB crop of each face.
        frame: The whole picture, shrunk; None where nobody is in it.
        detect_s: Time that finding and following them took.
        crop_s: Time that cutting them out took.
    """

    index: int
    time_s: float
    crops: list[tuple[int, FaceScore, Image]]
    frame: SmallFrame | None
    detect_s: float
    crop_s: float


@dataclass(slots=True)
class Watch:
    """Looks at one input, frame by frame, and remembers the scores.

    Attributes:
        engine: The classifier.
        detector: The face detector.
        keep_maps: Keep each face's forgery map in its record.
        tracker: Who is who; None for a picture, in which every face is a track of its own.
        info: What the input says about itself.
        status: "ok", or why it was not seen to its end.
        interrupted: Whether it was stopped from outside.
        smallest_face_px: Side of a face from which all were looked for, None where the detector does not say.
        single_faces: Faces found so far where every face is a track of its own.
        scores: Track id -> its faces in order of time.
        adjustments: See ``VideoReader``.
        caveats: See ``VideoReader``.
        album: The few crops that are kept.
    """

    engine: Engine
    detector: Detector
    keep_maps: bool = False
    tracker: FaceTracker | None = None
    info: VideoInfo | None = None
    status: Status = "ok"
    interrupted: bool = False
    single_faces: int = 0
    smallest_face_px: int | None = None
    frames_decoded: int = 0
    frames_scored: int = 0
    last_s: float = 0.0
    decode_s: float = 0.0
    detect_s: float = 0.0
    classify_s: float = 0.0
    adjustments: tuple[Adjustment, ...] = ()
    caveats: tuple[Reason, ...] = ()
    scores: dict[int, FaceScores] = field(default_factory=dict)
    album: FaceAlbum = field(default_factory=FaceAlbum)
    _size: tuple[int, ...] = ()
    _next_search_s: float = 0.0
    _first_track: int = 0
    _last_track: int = 0
    _waiting: list[tuple[int, FaceScore, Image, SmallFrame | None]] = field(default_factory=list)

    def look(self, frame: Frame) -> None:
        """Finds and crops the faces of a frame, so that the frame can go, and scores when a batch is full."""
        self.take(self.find(frame))

    def find(self, frame: Frame) -> Sight:
        """Finds, follows and crops the faces of a frame. Frames come in order; another thread may score meanwhile."""
        started = time.perf_counter()
        faces = self._search(frame)
        if self.tracker is None:
            tracked = list(enumerate(faces, self.single_faces + 1))
            self.single_faces += len(faces)
        else:
            tracked = self._follow(frame, faces)
        found = time.perf_counter()
        crops = crop_tracked(frame, tracked, self.engine)
        small = shrink_frame(frame.image) if crops else None
        return Sight(frame.index, frame.time_s, crops, small, found - started, time.perf_counter() - found)

    def _search(self, frame: Frame) -> list[Face]:
        """Returns the faces of a frame. One that shows none, or small ones alone, is searched in parts too.

        In a video that is done once a second, and in every frame while it finds something.
        """
        faces = self.detector.detect(frame.image)
        if not isinstance(self.detector, FaceDetector):
            return faces
        longest = max(frame.image.shape[:2])
        scale = longest / self.detector.long_side_px
        self.smallest_face_px = self.smallest_face_px or smallest_face_px(scale)
        if scale <= 1:
            return faces
        if self.tracker is not None:
            largest = max((box[2] - box[0] for box in (face.box_xyxy for face in faces)), default=0.0)
            if largest >= LITTLE_FACE * longest or frame.time_s < self._next_search_s:
                return faces
        found = search_in_parts(
            self.detector, frame.image, faces, PICTURE_PARTS if self.tracker is None else FRAME_PARTS
        )
        self.smallest_face_px = found.smallest_px
        self._next_search_s = frame.time_s + (0.0 if len(found.faces) > len(faces) else SEARCH_STEP_S)
        return found.faces

    def _follow(self, frame: Frame, faces: list[Face]) -> list[tuple[int, Face]]:
        """Returns whose each face is. Where a face was means nothing in a picture of another size."""
        assert self.tracker is not None
        if self._size not in ((), frame.image.shape):
            self.tracker, self._first_track = FaceTracker(), self._last_track
        self._size = frame.image.shape
        tracked = [(self._first_track + track, face) for track, face in self.tracker.update(frame, faces)]
        self._last_track = max([self._last_track, *(track for track, _ in tracked)])
        return tracked

    def take(self, sight: Sight) -> None:
        """Takes the crops of a frame, and scores when a batch is full."""
        self.frames_scored += 1
        self.last_s = sight.time_s
        self.detect_s += sight.detect_s
        self.classify_s += sight.crop_s
        self._waiting += [(*cropped, sight.frame) for cropped in sight.crops]
        while len(self._waiting) >= BATCH:
            self._score(BATCH)

    def score_waiting(self) -> None:
        """Scores the crops that wait and lets go of them."""
        if self._waiting:
            self._score(len(self._waiting))

    def _score(self, count: int) -> None:
        """Scores the crops that have waited longest."""
        started = time.perf_counter()
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        scores = score_crops(self.engine, np.stack([crop for _, _, crop, _ in batch]))
        maps = np.rint(scores.forgery_map * 255).clip(0, 255).astype(np.uint8)
        for (track, record, crop, frame), value, forgery_map in zip(batch, scores.fake_probability, maps, strict=True):
            probability = round(min(max(float(value), 0.0), 1.0), 6)
            kept_map = forgery_map.copy() if self.keep_maps else None
            record = replace(record, fake_probability=probability, forgery_map=kept_map)
            self.scores.setdefault(track, FaceScores()).append(record)
            self.album.offer(track, record, crop, forgery_map, frame)
        self.classify_s += time.perf_counter() - started


def watch_video(
    frames: FrameSource, watch: Watch, progress: Progress | None, limits: Limits, *, overlap: bool = True
) -> None:
    """Shows the sampled frames of a video to ``watch``, to the end or to a limit. Progress and limits: in this thread.

    Args:
        frames: Where they come from, entered. The user's own are taken and looked at in this thread, one by one.
        watch: What remembers them.
        progress: Called after each sampled frame.
        limits: When to stop early.
        overlap: Find faces in a thread of its own while others are scored. The result is the same either way.

    Raises:
        UnreadableInputError: No frame of the file can be read.
    """
    watch.tracker = FaceTracker()
    deadline = None if limits.max_seconds is None else time.monotonic() + limits.max_seconds
    stopped_at: int | None = None
    with ExitStack() as stack:
        found = _find_all(iter(frames), watch)
        overlap = overlap and isinstance(frames, FileFrames | ChildFrames)
        if isinstance(frames, ChildFrames):
            frames.bound(deadline, limits.stop)
        sights = stack.enter_context(Ahead(found, SIGHTS_AHEAD, "tinydf-find")) if overlap else found
        for sight in sights:
            watch.take(sight)
            if progress:
                progress(sight.time_s, frames.info.duration_s)
            if deadline is not None and time.monotonic() >= deadline:
                watch.status = "timeout"
            elif limits.stop is not None and limits.stop.is_set():
                watch.interrupted = True
            else:
                continue
            stopped_at = sight.index
            break
    watch.score_waiting()
    watch.info = frames.info
    # What was decoded ahead of a stop was not seen.
    watch.frames_decoded = frames.frames_decoded if stopped_at is None else stopped_at + 1
    _note_facts(frames, watch)
    if stopped_at is None and frames.truncated:
        watch.status = "truncated"


def watch_image(frames: FrameSource, watch: Watch, limits: Limits) -> None:
    """Shows the pictures of one image file to ``watch``: most hold a single one.

    Args:
        frames: Where they come from, entered.
        watch: What remembers them.
        limits: When to stop waiting for them.

    Raises:
        UnreadableInputError: None can be decoded.
    """
    if isinstance(frames, ChildFrames):
        frames.bound(None if limits.max_seconds is None else time.monotonic() + limits.max_seconds, limits.stop)
    for frame in frames:
        watch.look(frame)
        # Else it would stay in memory while the next one is waited for.
        del frame
    watch.score_waiting()
    watch.info = frames.info
    watch.frames_decoded = frames.frames_decoded
    _note_facts(frames, watch)
    if frames.truncated:
        watch.status = "truncated"


def _note_facts(frames: FrameSource, watch: Watch) -> None:
    """Notes what a decoder tells beside the pictures."""
    if isinstance(frames, FileFrames | ChildFrames):
        watch.decode_s = frames.decode_s
        watch.adjustments = frames.adjustments
        watch.caveats = frames.caveats
    if isinstance(frames, ChildFrames) and frames.timed_out:
        watch.status = "timeout"


def _find_all(frames: Iterator[Frame], watch: Watch) -> Generator[Sight, None, None]:
    """Yields what is found in each frame, and counts the time that waiting for frames takes."""
    while True:
        started = time.perf_counter()
        frame = next(frames, None)
        watch.decode_s += time.perf_counter() - started
        if frame is None:
            return
        sight = watch.find(frame)
        # Else it would stay in memory while the next one is waited for.
        del frame
        yield sight
