"""Photos + a published YuNet file -> the faces that the table of photos does not list.

The table's boxes come from one pass over each photo. Small faces in the background are missed there, and a
detector must not be taught that they are background.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tinydf.facedetector.photos import Photo
from tinydf_runtime.types import Image


class Teacher:
    """YuNet through OpenCV.

    Args:
        model: ONNX file that ``cv2.FaceDetectorYN`` reads.
        score_threshold: Lowest score that is returned.
    """

    def __init__(self, model: Path, score_threshold: float) -> None:
        self._network = cv2.FaceDetectorYN.create(str(model), "", (320, 320), score_threshold, 0.45, 1000)

    def detect(self, image: Image) -> NDArray[np.float32]:
        """Returns the faces of a BGR image, F x 15: x, y, width, height, five points, score."""
        self._network.setInputSize((image.shape[1], image.shape[0]))
        faces = self._network.detect(image)[1]
        # OpenCV returns None, not an empty array, when it finds no face.
        return np.zeros((0, 15), np.float32) if faces is None else np.asarray(faces, np.float32)


def look_again(photos: Iterable[Photo], teacher: Teacher, long_side: int = 640) -> dict[str, list[list[float]]]:
    """Returns by photo name the faces found at a larger size that overlap none of the listed ones.

    Rows are like those of ``Photo.faces``, in pixels of the photo. Photos without such faces are left out.
    """
    missed: dict[str, list[list[float]]] = {}
    for photo in photos:
        scale = long_side / max(photo.width, photo.height)
        size = (round(photo.width * scale), round(photo.height * scale))
        rows = teacher.detect(
            cv2.resize(photo.decode(), size, interpolation=cv2.INTER_CUBIC).astype(np.uint8, copy=False)
        )
        rows[:, :14] /= scale
        new = [row.round(2).tolist() for row in rows if _largest_cover(row, photo.faces) < 0.3]
        if new:
            missed[photo.name] = new
    return missed


def _largest_cover(row: NDArray[np.float32], faces: NDArray[np.float32]) -> float:
    """Returns the largest intersection with any of the faces, as a share of the smaller of the two boxes."""
    if not len(faces):
        return 0.0
    low = np.maximum(row[:2], faces[:, :2])
    high = np.minimum(row[:2] + row[2:4], faces[:, :2] + faces[:, 2:4])
    shared = (high - low).clip(0).prod(1)
    return float((shared / np.minimum(row[2] * row[3], faces[:, 2] * faces[:, 3])).max())


def look_again_cached(photos: Iterable[Photo], model: Path, cache: Path) -> dict[str, list[list[float]]]:
    """Returns ``look_again`` with scores from .25, kept in a JSON file for the run's next start."""
    if cache.is_file():
        kept: dict[str, list[list[float]]] = json.loads(cache.read_text(encoding="utf-8"))
        return kept
    missed = look_again(photos, Teacher(model, 0.25))
    partial = cache.with_suffix(".partial")
    partial.write_text(json.dumps(missed), encoding="utf-8")
    partial.replace(cache)
    return missed
