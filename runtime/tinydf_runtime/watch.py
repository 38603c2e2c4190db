"""Frames -> scored faces by track. Frames and crops are let go of; one compact record a face stays."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tinydf_runtime.crop import crop_face
from tinydf_runtime.engine import Engine
from tinydf_runtime.errors import ModelFileError, OutsideImageError
from tinydf_runtime.own_frames import OwnFrames
from tinydf_runtime.track import FaceTracker
from tinydf_runtime.types import Face, FaceScore, Frame, Image, Scores, Status
from tinydf_runtime.video import VideoInfo, VideoReader, read_image

BATCH = 8
"""Crops scored at once: fills the engine's threads, and little more than 1 MB of them waits."""

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


@dataclass(frozen=True, slots=True)
class Limits:
    """When to stop before an input ends.

    Attributes:
        max_seconds: Wall clock for one input, None for as long as it takes.
        stop: Set from another thread or a signal handler to end at the next frame; what was seen until then counts.
    """

    max_seconds: float | None = None
    stop: threading.Event | None = None


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
        scores: Track id -> its faces in order of time.
    """

    engine: Engine
    detector: Detector
    keep_maps: bool = False
    tracker: FaceTracker | None = None
    info: VideoInfo | None = None
    status: Status = "ok"
    interrupted: bool = False
    frames_decoded: int = 0
    frames_scored: int = 0
    last_s: float = 0.0
    decode_s: float = 0.0
    detect_s: float = 0.0
    classify_s: float = 0.0
    scores: dict[int, list[FaceScore]] = field(default_factory=dict)
    _waiting: list[tuple[int, FaceScore, Image]] = field(default_factory=list)

    def look(self, frame: Frame) -> None:
        """Finds and crops the faces of a frame, so that the frame can go, and scores when a batch is full."""
        started = time.perf_counter()
        faces = self.detector.detect(frame.image)
        tracked = list(enumerate(faces, 1)) if self.tracker is None else self.tracker.update(frame, faces)
        found = time.perf_counter()
        self._waiting += crop_tracked(frame, tracked, self.engine)
        self.detect_s += found - started
        self.classify_s += time.perf_counter() - found
        self.frames_scored += 1
        self.last_s = frame.time_s
        if len(self._waiting) >= BATCH:
            self.score_waiting()

    def score_waiting(self) -> None:
        """Scores the crops that wait and lets go of them."""
        if not self._waiting:
            return
        started = time.perf_counter()
        scores = score_crops(self.engine, np.stack([crop for _, _, crop in self._waiting]))
        for i, (track, record, _) in enumerate(self._waiting):
            probability = min(max(float(scores.fake_probability[i]), 0.0), 1.0)
            forgery_map = np.rint(scores.forgery_map[i] * 255).clip(0, 255).astype(np.uint8) if self.keep_maps else None
            self.scores.setdefault(track, []).append(
                replace(record, fake_probability=round(probability, 6), forgery_map=forgery_map)
            )
        self._waiting.clear()
        self.classify_s += time.perf_counter() - started


def watch_video(
    source: str | int | OwnFrames, watch: Watch, sample_fps: float | None, progress: Progress | None, limits: Limits
) -> None:
    """Shows the sampled frames of a video or stream to ``watch``, to the end or to a limit.

    Raises:
        UnreadableInputError: No frame of the file can be read.
        UnavailableError: The camera or stream cannot be opened.
    """
    watch.tracker = FaceTracker()
    deadline = None if limits.max_seconds is None else time.monotonic() + limits.max_seconds
    with source if isinstance(source, OwnFrames) else VideoReader(source, sample_fps) as reader:
        watch.info = reader.info
        frames = iter(reader)
        while (frame := _next_frame(frames, watch)) is not None:
            watch.look(frame)
            if progress:
                progress(frame.time_s, reader.info.duration_s)
            if deadline is not None and time.monotonic() >= deadline:
                watch.status = "timeout"
                break
            if limits.stop is not None and limits.stop.is_set():
                watch.interrupted = True
                break
        watch.frames_decoded = reader.frames_decoded
        if reader.truncated and watch.status == "ok":
            watch.status = "truncated"
    watch.score_waiting()


def watch_image(path: Path, watch: Watch) -> None:
    """Shows one picture to ``watch``.

    Raises:
        UnreadableInputError: It cannot be decoded.
    """
    started = time.perf_counter()
    image = read_image(path)
    watch.decode_s = time.perf_counter() - started
    watch.info = VideoInfo(
        width=image.shape[1], height=image.shape[0], fps=None, duration_s=None, rotation_deg=0, frames_expected=1
    )
    watch.frames_decoded = 1
    watch.look(Frame(0, 0.0, image))
    watch.score_waiting()


def crop_tracked(
    frame: Frame, tracked: Sequence[tuple[int, Face]], engine: Engine
) -> list[tuple[int, FaceScore, Image]]:
    """Returns track, record with its probability still to come, and RGB crop of each face."""
    cropped = []
    for track, face in tracked:
        # A track that leaves the picture can end with a box beyond its border.
        with suppress(OutsideImageError):
            crop = crop_face(frame.image, face.box_xyxy, engine.spec.crop)[..., ::-1]
            left, top, right, bottom = (round(float(value), 2) for value in face.box_xyxy)
            record = FaceScore(
                round(float(frame.time_s), 6),
                int(frame.index),
                (left, top, right, bottom),
                round(min(max(float(face.score), 0.0), 1.0), 6),
                fake_probability=0.0,
            )
            cropped.append((track, record, crop))
    return cropped


def score_boxes(engine: Engine, image: Image, boxes: Sequence[Sequence[float]] | NDArray[np.float64]) -> Scores:
    """Cuts boxes out of a BGR picture and scores them.

    Args:
        engine: The classifier.
        image: H x W x 3, BGR, uint8.
        boxes: N x 4, xyxy in pixels.

    Raises:
        OutsideImageError: A box does not touch the picture.
    """
    recipe = engine.spec.crop
    crops = np.empty((len(boxes), recipe.side_px, recipe.side_px, 3), np.uint8)
    for i, (left, top, right, bottom) in enumerate(boxes):
        box = (float(left), float(top), float(right), float(bottom))
        crops[i] = crop_face(image, box, recipe)[..., ::-1]
    return score_crops(engine, crops)


def score_crops(engine: Engine, crops: NDArray[np.uint8]) -> Scores:
    """Scores a batch of RGB crops and refuses what is no number: it would spread through every mean unseen.

    Raises:
        ModelFileError: A score is no finite number.
    """
    scores = engine.score(crops)
    if not np.isfinite(scores.fake_probability).all():
        raise ModelFileError(f"{engine.spec.name}: gave a score that is no number. Export the model again.")
    return scores


def _next_frame(frames: Iterator[Frame], watch: Watch) -> Frame | None:
    """Returns the next sampled frame, None at the end, and counts the time."""
    started = time.perf_counter()
    frame = next(frames, None)
    watch.decode_s += time.perf_counter() - started
    return frame
