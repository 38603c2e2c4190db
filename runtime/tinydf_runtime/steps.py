"""Frame -> scored faces: detect, track, crop, score. Files, own frames and live sources all take these steps."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from tinydf_runtime.engines.engine import Engine, score_in_halves
from tinydf_runtime.errors import OutsideImageError
from tinydf_runtime.faces.crop import crop_face, lay_over_picture
from tinydf_runtime.faces.detector import (
    FRAME_PARTS,
    PICTURE_PARTS,
    FaceDetector,
    search_in_parts,
    search_turned,
    smallest_face_px,
)
from tinydf_runtime.faces.exemplars import shrink_frame
from tinydf_runtime.faces.quality import measure_quality
from tinydf_runtime.faces.tracker import FaceTracker
from tinydf_runtime.trust.outputs import checked_scores
from tinydf_runtime.types import Face, FaceScore, Frame, Image, Scores, SmallFrame

SEARCH_STEP_S = 1.0
"""Time between two searches in parts that find nothing."""
LITTLE_FACE = 0.08
"""A video whose largest face is narrower than this share of its long side may show smaller ones, missed so far."""


class Detector(Protocol):
    """What finds faces; ``FaceDetector`` is the one that comes with TinyDF."""

    @property
    def name(self) -> str:
        """Its name, for reports."""

    @property
    def sha256(self) -> str:
        """Hash of its file, or another text that identifies its version."""

    def detect(self, image: Image) -> list[Face]:
        """Returns the faces of an H x W x 3 BGR uint8 picture."""


@dataclass(frozen=True, slots=True)
class CroppedFace:
    """A face that is to be scored.

    Attributes:
        track: Id of its track.
        face: Where it is.
        record: Its record, without probability.
        crop: side x side x 3, RGB, uint8.
    """

    track: int
    face: Face
    record: FaceScore
    crop: Image


@dataclass(frozen=True, slots=True)
class FoundFaces:
    """What is kept of a frame once its faces are found and cropped.

    Attributes:
        index: Of the frame.
        time_s: Of the frame.
        crops: The faces that touch the frame.
        frame: The whole picture, shrunk; None where nobody is in it.
        detect_s: Seconds that detection and tracking took.
        crop_s: Seconds that cropping took.
        goes_on: These are further faces of the frame before.
    """

    index: int
    time_s: float
    crops: list[CroppedFace]
    frame: SmallFrame | None
    detect_s: float
    crop_s: float
    goes_on: bool = False


MOST_CROPS = 16
"""Faces that are cropped at once: 150 KB each, and a crowd has thousands."""


@dataclass(slots=True)
class FrameStep:
    """Takes the frames of one input, in order, and returns scored faces.

    Detecting and scoring may run in two threads: ``find`` in one, ``score`` in the other.

    Attributes:
        engine: The classifier.
        detector: The face detector.
        tracks: Whether faces are followed from frame to frame; else each is a track of its own, as in pictures.
        smallest_face_px: Shortest side of the faces that are looked for, None where the detector does not say.
    """

    engine: Engine
    detector: Detector
    tracks: bool = True
    smallest_face_px: int | None = None
    _tracker: FaceTracker = field(default_factory=FaceTracker)
    _size: tuple[int, ...] = ()
    _next_search_s: float = 0.0
    _next_turn_s: float = 0.0
    _first_track: int = 0
    _last_track: int = 0

    def find(self, frame: Frame) -> FoundFaces:
        """Detects, tracks and crops the faces of a frame, which can then go."""
        return next(self._find(frame, None))

    def find_parts(self, frame: Frame) -> Iterator[FoundFaces]:
        """Does what ``find`` does, and yields at most ``MOST_CROPS`` faces at once: a crowd's crops are large."""
        return self._find(frame, MOST_CROPS)

    def _find(self, frame: Frame, at_once: int | None) -> Iterator[FoundFaces]:
        """Yields the faces of a frame, so many at once; None for all."""
        started = time.perf_counter()
        tracked = self._track(frame, self._detect(frame))
        detect_s = time.perf_counter() - started
        small: SmallFrame | None = None
        for first in range(0, max(1, len(tracked)), at_once or max(1, len(tracked))):
            began = time.perf_counter()
            part = tracked[first : first + (at_once or len(tracked))]
            crops = crop_tracked(frame, part, self.engine)
            if crops and small is None:
                small = shrink_frame(frame.image)
            crop_s = time.perf_counter() - began
            spent_s = 0.0 if first else detect_s
            yield FoundFaces(frame.index, frame.time_s, crops, small, spent_s, crop_s, first > 0)

    def score(self, found: Sequence[CroppedFace]) -> tuple[list[FaceScore], NDArray[np.float32]]:
        """Returns the records with their probabilities, and N x h x w forgery maps over the crops, 0..1. One batch.

        Args:
            found: At least one.

        Raises:
            ModelFileError: A score is no finite number.
        """
        scores = score_crops(self.engine, np.stack([one.crop for one in found]))
        records = [
            replace(one.record, fake_probability=round(min(max(float(value), 0.0), 1.0), 6))
            for one, value in zip(found, scores.fake_probability, strict=True)
        ]
        return records, scores.forgery_map

    def _detect(self, frame: Frame) -> list[Face]:
        """Returns the faces of a frame, by further searches where the first leaves a doubt.

        In a video these take place once a second, and in every frame while they find something.
        """
        faces = self.detector.detect(frame.image)
        if not isinstance(self.detector, FaceDetector):
            return faces
        return self._search_turned(frame, self._search_in_parts(frame, faces, self.detector), self.detector)

    def _search_turned(self, frame: Frame, faces: list[Face], detector: FaceDetector) -> list[Face]:
        """Returns the faces of a frame. One that shows none for certain is searched sideways and upside down too."""
        certain = any(face.score >= detector.certain_score for face in faces)
        if certain or (self.tracks and frame.time_s < self._next_turn_s):
            return faces
        turned = search_turned(detector, frame.image)
        self._next_turn_s = frame.time_s + (0.0 if turned else SEARCH_STEP_S)
        return turned or faces

    def _search_in_parts(self, frame: Frame, faces: list[Face], detector: FaceDetector) -> list[Face]:
        """Returns the faces of a frame. One that shows none, or small ones alone, is searched in parts too."""
        longest = max(frame.image.shape[:2])
        scale = longest / detector.long_side_px
        self.smallest_face_px = self.smallest_face_px or smallest_face_px(scale)
        if scale <= 1:
            return faces
        if self.tracks:
            largest = max((box[2] - box[0] for box in (face.box_xyxy for face in faces)), default=0.0)
            if largest >= LITTLE_FACE * longest or frame.time_s < self._next_search_s:
                return faces
        found = search_in_parts(detector, frame.image, faces, FRAME_PARTS if self.tracks else PICTURE_PARTS)
        self.smallest_face_px = found.smallest_px
        self._next_search_s = frame.time_s + (0.0 if len(found.faces) > len(faces) else SEARCH_STEP_S)
        return found.faces

    def _track(self, frame: Frame, faces: list[Face]) -> list[tuple[int, Face]]:
        """Returns the track id of each face."""
        if not self.tracks:
            tracked = list(enumerate(faces, self._last_track + 1))
            self._last_track += len(faces)
            return tracked
        if self._size not in ((), frame.image.shape):
            # Where a face was means nothing in a picture of another size.
            self._tracker, self._first_track = FaceTracker(), self._last_track
        self._size = frame.image.shape
        tracked = [(self._first_track + track, face) for track, face in self._tracker.update(frame, faces)]
        self._last_track = max([self._last_track, *(track for track, _ in tracked)])
        return tracked


def crop_tracked(frame: Frame, tracked: Sequence[tuple[int, Face]], engine: Engine) -> list[CroppedFace]:
    """Cuts the faces of a frame out. Those outside the frame are left out."""
    cropped = []
    for track, face in tracked:
        # A track that leaves the picture can end with a box beyond its border.
        with suppress(OutsideImageError):
            blue_first = crop_face(frame.image, face.box_xyxy, engine.spec.crop, face.landmarks)
            crop = np.asarray(cv2.cvtColor(blue_first, cv2.COLOR_BGR2RGB), np.uint8)
            left, top, right, bottom = (round(float(value), 2) for value in face.box_xyxy)
            record = FaceScore(
                round(float(frame.time_s), 6),
                int(frame.index),
                (left, top, right, bottom),
                round(min(max(float(face.score), 0.0), 1.0), 6),
                fake_probability=0.0,
                quality=measure_quality(crop, face),
            )
            cropped.append(CroppedFace(track, face, record, crop))
    return cropped


def score_found(engine: Engine, image: Image, faces: Sequence[Face]) -> Scores:
    """Cuts faces out of a BGR picture and scores them; the maps lie over ``crop_square_xyxy`` in the picture.

    Args:
        engine: The classifier.
        image: H x W x 3, BGR, uint8.
        faces: In pixels; without landmarks they are cut as they stand.

    Raises:
        OutsideImageError: A box does not touch the picture.
    """
    config = engine.spec.crop
    crops = np.empty((len(faces), config.side_px, config.side_px, 3), np.uint8)
    for place, face in enumerate(faces):
        crops[place] = crop_face(image, face.box_xyxy, config, face.landmarks)[..., ::-1]
    scores = score_crops(engine, crops)
    maps = [lay_over_picture(one, face) for one, face in zip(scores.forgery_map, faces, strict=True)]
    return Scores(scores.fake_probability, np.stack(maps)) if maps else scores


def score_crops(engine: Engine, crops: NDArray[np.uint8]) -> Scores:
    """Scores N x side x side x 3 RGB uint8 crops; refuses NaN and the like, which would spread through every mean.

    Raises:
        ModelFileError: A score is no finite number from 0 to 1.
        OutOfMemoryError: There is not enough memory for one crop.
    """
    scores = score_in_halves(engine.score, crops)
    return checked_scores((scores.fake_probability, scores.forgery_map), len(crops), None, engine.spec.name)
