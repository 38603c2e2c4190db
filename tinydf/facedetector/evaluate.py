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
from tinydf.facedetector.metrics import ImageMatch, match
from tinydf.facedetector.mosaic import Composer, Sample
from tinydf.facedetector.photos import Photo
from tinydf.facedetector.video_frames import halved, video_frames
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
        yield _as_scene(composer.compose(side_px, np.random.default_rng((seed, index))))


def video_scenes(scenes: list[Photo], photos: list[Photo], count: int, small: bool, seed: int) -> Iterator[Scene]:
    """Yields frames of video (``video_frames``) of 640 px, or of half that where ``small``."""
    for frame in video_frames(scenes, [photo for photo in photos if len(photo.faces)], count, seed):
        yield _as_scene(halved(frame) if small else frame)


def _as_scene(sample: Sample) -> Scene:
    return Scene(
        sample.image,
        sample.boxes_xyxy.astype(np.float64),
        sample.landmarks.astype(np.float64),
        sample.doubtful_xyxy.astype(np.float64),
    )


def faceless_pictures(photos: list[Photo], count: int, side_px: int, seed: int) -> Iterator[Image]:
    """Yields pictures without faces, alternating synthetic backgrounds and parts of photos beside their faces."""
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


def summarise(matches: list[ImageMatch], threshold: float, seed: int = 0) -> dict[str, Interval]:
    """Returns the figures of a detector at a score, each with its interval.

    Args:
        matches: At least one.
        threshold: Score from which a box counts.
        seed: Of the bootstrap.

    Returns:
        ``recall``, ``false_boxes`` (an image), ``median_iou`` and ``median_landmark_error``.
    """
    rng = np.random.default_rng(seed)
    # How often each picture is drawn: all once for the figure itself, then with replacement.
    draws = rng.multinomial(len(matches), np.full(len(matches), 1 / len(matches)), size=BOOTSTRAPS)
    draws = np.concatenate((np.ones((1, len(matches)), np.int64), draws))
    counted = [one.scores >= threshold for one in matches]
    hits = np.array([(one.correct & kept).sum() for one, kept in zip(matches, counted, strict=True)])
    wrong = np.array([(~one.correct & kept).sum() for one, kept in zip(matches, counted, strict=True)])
    wanted = draws @ np.array([one.wanted for one in matches])
    recalls = np.divide(draws @ hits, wanted, out=np.full(len(draws), np.nan), where=wanted > 0)
    found = [kept[one.correct] for one, kept in zip(matches, counted, strict=True)]
    ious = [one.ious[kept] for one, kept in zip(matches, found, strict=True)]
    errors = [one.landmark_errors[kept] for one, kept in zip(matches, found, strict=True)]
    return {
        "recall": _interval(recalls),
        "false_boxes": _interval(draws @ wrong / len(matches)),
        "median_iou": _interval(_medians(ious, draws)),
        "median_landmark_error": _interval(_medians(errors, draws)),
    }


def _medians(values: list[Floats], draws: NDArray[np.int64]) -> Floats:
    """Returns for each row of draws the median of the values of the pictures drawn, NaN where there are none."""
    joined = np.concatenate(values)
    picture = np.repeat(np.arange(len(values)), [len(some) for some in values])
    order = np.argsort(joined)
    joined, picture = joined[order], picture[order]
    medians = np.full(len(draws), np.nan)
    for row, draw in enumerate(draws):
        drawn = np.repeat(joined, draw[picture])
        if len(drawn):
            medians[row] = (drawn[(len(drawn) - 1) // 2] + drawn[len(drawn) // 2]) / 2
    return medians


def _interval(values: Floats) -> Interval:
    """Returns the first value with the range of the middle 95 % of the others."""
    if np.isnan(values).all():
        return Interval(float("nan"), float("nan"), float("nan"))
    low, high = np.nanpercentile(values[1:], [2.5, 97.5])
    return Interval(float(values[0]), float(low), float(high))
