"""A detector and photos -> the figures of its model card: recall, overlap, points and false boxes, with intervals.

Any detector can be measured: it is a function from a picture to boxes, scores and points, so that ours and a peer see
the same pictures in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from tinydf.facedetector.backgrounds import cut_beside_faces, draw_background
from tinydf.facedetector.metrics import ImageMatch, false_boxes, match, recall
from tinydf.facedetector.mosaic import Composer
from tinydf.facedetector.photos import Photo
from tinydf_runtime.types import Image

Floats = NDArray[np.float64]
BOOTSTRAPS = 1000


class Found(NamedTuple):
    """What a detector says about a picture: boxes (K x 4, xyxy) and points (K x 5 x 2) in its pixels, scores (K)."""

    boxes_xyxy: Floats
    scores: Floats
    landmarks: Floats


Detect = Callable[[Image], Found]


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture with known faces.

    Attributes:
        image: H x W x 3, BGR, uint8; the size that the detector sees.
        boxes_xyxy: F x 4, float64.
        landmarks: F x 5 x 2, float64.
        doubtful_xyxy: D x 4, float64.
    """

    image: Image
    boxes_xyxy: Floats
    landmarks: Floats
    doubtful_xyxy: Floats


class Interval(NamedTuple):
    """A figure with its 95 % bootstrap interval over pictures."""

    value: float
    low: float
    high: float


def photo_scenes(photos: Iterable[Photo], long_side_px: int) -> Iterator[Scene]:
    """Yields each photo scaled to a long side, with the faces of the table."""
    for photo in photos:
        scale = long_side_px / max(photo.width, photo.height)
        size = (round(photo.width * scale), round(photo.height * scale))
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        image = cv2.resize(photo.decode(), size, interpolation=how).astype(np.uint8, copy=False)
        faces = photo.faces.astype(np.float64) * scale
        boxes = np.concatenate((faces[:, :2], faces[:, :2] + faces[:, 2:4]), 1)
        doubtful = photo.doubtful.astype(np.float64) * scale
        doubtful[:, 2:] += doubtful[:, :2]
        yield Scene(image, boxes, faces[:, 4:14].reshape(-1, 5, 2), doubtful)


def composed_scenes(photos: list[Photo], count: int, side_px: int, seed: int) -> Iterator[Scene]:
    """Yields pictures composed and degraded like those of training: several people, all sizes, strange backgrounds."""
    composer = Composer([photo for photo in photos if len(photo.faces)])
    for index in range(count):
        sample = composer.compose(side_px, np.random.default_rng((seed, index)))
        yield Scene(
            sample.image,
            sample.boxes_xyxy.astype(np.float64),
            sample.landmarks.astype(np.float64),
            sample.doubtful_xyxy.astype(np.float64),
        )


def faceless_pictures(photos: list[Photo], count: int, side_px: int, seed: int) -> Iterator[Image]:
    """Yields pictures without faces: by turns a drawn or patched background and a part of a photo beside its faces."""
    for index in range(count):
        rng = np.random.default_rng((seed, index))
        cut = None
        if index % 2:
            cut = cut_beside_faces(photos[rng.integers(len(photos))], side_px, side_px * 9 // 16, rng)
        yield draw_background(photos, side_px, rng) if cut is None else cut


def match_scene(detect: Detect, scene: Scene, least_px: float) -> ImageMatch:
    """Returns how a detector's boxes fit the faces of a scene whose shorter box side is at least ``least_px``."""
    found = detect(scene.image)
    large = (scene.boxes_xyxy[:, 2:] - scene.boxes_xyxy[:, :2]).min(1, initial=np.inf) >= least_px
    ignored = np.concatenate((scene.doubtful_xyxy, scene.boxes_xyxy[~large]))
    return match(*found, scene.boxes_xyxy[large], scene.landmarks[large], ignored)


def with_interval(matches: list[ImageMatch], figure: Callable[[list[ImageMatch]], float], seed: int = 0) -> Interval:
    """Returns a figure over pictures and the range of its middle 95 % when pictures are drawn anew with replacement."""
    rng = np.random.default_rng(seed)
    values = [figure([matches[i] for i in rng.integers(len(matches), size=len(matches))]) for _ in range(BOOTSTRAPS)]
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return Interval(figure(matches), float(low), float(high))


def summarise(matches: list[ImageMatch], threshold: float) -> dict[str, Interval]:
    """Returns ``recall``, ``false_boxes`` (an image), ``median_iou`` and ``median_landmark_error`` at a score."""

    def found_median(values: Callable[[ImageMatch], Floats]) -> Callable[[list[ImageMatch]], float]:
        def figure(some: list[ImageMatch]) -> float:
            kept = [values(one)[(one.scores >= threshold)[one.correct]] for one in some]
            joined = np.concatenate(kept) if kept else np.zeros(0)
            return float(np.median(joined)) if len(joined) else float("nan")

        return figure

    return {
        "recall": with_interval(matches, lambda some: recall(some, threshold)),
        "false_boxes": with_interval(matches, lambda some: false_boxes(some, threshold)),
        "median_iou": with_interval(matches, found_median(lambda one: one.ious)),
        "median_landmark_error": with_interval(matches, found_median(lambda one: one.landmark_errors)),
    }
