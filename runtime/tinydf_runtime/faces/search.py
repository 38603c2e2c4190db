"""Picture -> faces too small for a pass over the whole of it: tiled detection, from coarse to fine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tinydf_runtime.faces.detector import FaceDetector
from tinydf_runtime.types import Face, Image

LEAST_FACE_PX = 16
"""Side of a face in the detector's input from which it is found reliably."""
PICTURE_PARTS = 96
"""Tiles of a picture, at most: two thirds of a second on one core."""
FRAME_PARTS = 24
"""Of a video's frame."""
_OVERLAP = 0.25
"""Overlap of neighbouring tiles as a share of their side; larger faces are found at the coarser step before."""
_BORDER_PX = 2
PART_SCORE = 0.8
"""Detection score from which a face in a tile counts: many tiles hold many patterns that resemble faces."""
_SAME_PLACE = 0.5
"""Distance of two centres, as a share of the larger box, below which they are one face."""


@dataclass(frozen=True, slots=True)
class Found:
    """Result of a search.

    Attributes:
        faces: Best score first.
        smallest_px: Side of a face from which all were looked for.
    """

    faces: list[Face]
    smallest_px: int


def search_in_parts(detector: FaceDetector, image: Image, whole: Sequence[Face], most_parts: int) -> Found:
    """Returns the faces of a picture, those found in enlarged tiles of it included.

    Args:
        detector: Searches a picture of ``long_side_px`` without shrinking it.
        image: H x W x 3, BGR, uint8.
        whole: What it found in the picture as a whole.
        most_parts: Bounds the time that this takes. Steps that would need more are left out.
    """
    side = detector.long_side_px
    longest = max(image.shape[:2])
    faces, parts, scale = list(whole), 0, longest / side
    # Each step looks at parts of half the side of the one before.
    while scale > 1:
        finer = max(scale / 2, 1.0)
        boxes = list(_parts(image.shape[0], image.shape[1], round(side * finer)))
        parts += len(boxes)
        if parts > most_parts:
            break
        for left, top, right, bottom in boxes:
            found = detector.detect(np.ascontiguousarray(image[top:bottom, left:right]))
            faces += [
                _shift(face, left, top)
                for face in found
                if face.score >= PART_SCORE and _is_whole(face, (left, top, right, bottom), image)
            ]
        scale = finer
    return Found(_one_each(faces), smallest_face_px(scale))


def smallest_face_px(scale: float) -> int:
    """Returns the side of the smallest face that is looked for in a picture shrunk by ``scale``."""
    return round(LEAST_FACE_PX * max(1.0, scale))


def _parts(height: int, width: int, side: int) -> Iterator[tuple[int, int, int, int]]:
    """Yields parts as left, top, right, bottom; together they cover the picture."""
    for top in _starts(height, side):
        for left in _starts(width, side):
            yield left, top, min(left + side, width), min(top + side, height)


def _starts(length: int, side: int) -> list[int]:
    """Returns where parts of a side begin, evenly spread."""
    if length <= side:
        return [0]
    count = 1 + int(np.ceil((length - side) / (side * (1 - _OVERLAP))))
    return [round(start) for start in np.linspace(0, length - side, count)]


def _is_whole(face: Face, part: tuple[int, int, int, int], image: Image) -> bool:
    """Returns whether a face ends within its part: what the part's edge cuts, the next part shows whole."""
    left, top, right, bottom = part
    box = face.box_xyxy
    return not (
        (left > 0 and box[0] < _BORDER_PX)
        or (top > 0 and box[1] < _BORDER_PX)
        or (right < image.shape[1] and box[2] > right - left - _BORDER_PX)
        or (bottom < image.shape[0] and box[3] > bottom - top - _BORDER_PX)
    )


def _shift(face: Face, x: int, y: int) -> Face:
    """Returns a face in the pixels of the whole picture."""
    left, top, right, bottom = face.box_xyxy
    points = tuple((px + x, py + y) for px, py in face.landmarks)
    return replace(face, box_xyxy=(left + x, top + y, right + x, bottom + y), landmarks=points)


def _one_each(faces: list[Face]) -> list[Face]:
    """Returns each face once, best score first."""
    if not faces:
        return []
    boxes = np.array([face.box_xyxy for face in faces])
    middles, sides = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    kept: list[int] = []
    for place in np.argsort([-face.score for face in faces], kind="stable"):
        far = np.linalg.norm(middles[kept] - middles[place], axis=1)
        if (far > _SAME_PLACE * np.maximum(sides[kept], sides[place])).all():
            kept.append(int(place))
    return [faces[place] for place in kept]
