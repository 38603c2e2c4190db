"""Face, hair and clothes -> an embedding, and the similarity of two embeddings.

No network is involved: an embedding tells people apart within one video, where clothes, hair and light stay the same.
It cannot recognise anyone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tinydf_runtime.types import Face, Image, longer_side

_UNIT_PX = 8
"""Eyes to mouth, in pixels of the thumbnail that is embedded: what a face of 24 px shows."""
_WIDTH_PX, _HEIGHT_PX = 28, 40
_EYES_XY = (14.0, 14.0)
_FACE_ROWS, _FACE_COLUMNS = slice(9, 26), slice(6, 22)
_MOUTH_OF_BOX = 0.35
"""Distance from eyes to mouth as a share of the box's longer side, used when landmarks are missing."""
_BLOCK_PX = 4
_COLOUR_WEIGHT = 4.0
_FLAT = 0.5
"""Standard deviation of luma, 0..255, below which there are no edges."""


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """Appearance of a person in one frame.

    Attributes:
        face: Float32, unit length: edges of the face, turned upright.
        whole: Float32, unit length: edges of face, hair and shoulders.
        colours: Float32: coarse colours of the same, divided by the face's brightness.
        is_plain: Whether it shows one tone only, which says nothing about who it is.
    """

    face: NDArray[np.float32]
    whole: NDArray[np.float32]
    colours: NDArray[np.float32]
    is_plain: bool = False


def embed_face(image: Image, face: Face) -> Embedding | None:
    """Returns the embedding of a face, None where it has no pixel inside the image.

    Args:
        image: H x W x 3, BGR, uint8.
        face: In pixels of ``image``.
    """
    picture = _upright(image, face)
    if picture is None:
        return None
    colour = picture.astype(np.float32) / np.float32(255)
    luma = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.float32)
    edges = luma - cv2.GaussianBlur(luma, (0, 0), _UNIT_PX / 2)
    brightness = float(colour[_FACE_ROWS, _FACE_COLUMNS].mean())
    size = (_WIDTH_PX // _BLOCK_PX, _HEIGHT_PX // _BLOCK_PX)
    blocks = cv2.resize(colour, size, interpolation=cv2.INTER_AREA) / np.float32(brightness + 0.05)
    inner = edges[_FACE_ROWS, _FACE_COLUMNS]
    plain = float(inner.std()) < _FLAT
    return Embedding(_unit(inner), _unit(edges), blocks.ravel().astype(np.float32), plain)


def similarities(first: Sequence[Embedding | None], second: Sequence[Embedding | None]) -> NDArray[np.float64]:
    """Returns pairwise similarities: N x M, up to 2 for the same picture, about 0 for two people, NaN where unknown.

    Args:
        first: N embeddings.
        second: M embeddings.
    """
    similarity = np.full((len(first), len(second)), np.nan)
    rows = [i for i, embedding in enumerate(first) if embedding is not None]
    columns = [i for i, embedding in enumerate(second) if embedding is not None]
    if rows and columns:
        left = [embedding for embedding in first if embedding is not None]
        right = [embedding for embedding in second if embedding is not None]
        edges = _stack(left, "face") @ _stack(right, "face").T + _stack(left, "whole") @ _stack(right, "whole").T
        apart = np.abs(_stack(left, "colours")[:, None] - _stack(right, "colours")[None]).mean(axis=2)
        similarity[np.ix_(rows, columns)] = edges - _COLOUR_WEIGHT * apart
    return similarity


def _stack(embeddings: Sequence[Embedding], part: str) -> NDArray[np.float32]:
    return np.stack([getattr(embedding, part) for embedding in embeddings])


def _unit(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns values less their mean as a unit vector; a flat input is similar to other flat ones only."""
    flat = (values - values.mean()).ravel()
    if float(values.std()) < _FLAT:
        flat = np.ones_like(flat)
    return np.asarray(flat / np.linalg.norm(flat), np.float32)


def _upright(image: Image, face: Face) -> Image | None:
    """Returns head and shoulders, shrunk and turned so that the eyes lie at ``_EYES_XY``: 40 x 28 x 3."""
    left, top, right, bottom = face.box_xyxy
    height, width = image.shape[:2]
    if right <= 0 or bottom <= 0 or left >= width or top >= height:
        return None
    eyes, down = _eyes_and_down(face)
    unit = float(np.hypot(*down))
    first = np.clip(np.floor(eyes - 3 * unit), 0, (width - 1, height - 1)).astype(int)
    end = np.clip(np.ceil(eyes + np.array([3.0, 4.5]) * unit), first + 1, (width, height)).astype(int)
    # Averaging every pixel of a large face would cost more than the rest of tracking.
    skip = max(1, min(int(unit / (3 * _UNIT_PX)), *(end - first)))
    end -= (end - first) % skip
    part = image[first[1] : end[1], first[0] : end[0]]
    if skip > 1:
        # Faster than a slice with steps, which OpenCV would have to copy.
        size = (part.shape[1] // skip, part.shape[0] // skip)
        part = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_NEAREST), np.uint8)
    shrink = min(1.0, 1.5 * _UNIT_PX * skip / unit)
    if shrink < 1:
        size = (max(1, round(part.shape[1] * shrink)), max(1, round(part.shape[0] * shrink)))
        part = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
    to_part = np.array(part.shape[1::-1]) / (end - first)
    scale = _UNIT_PX / unit
    cosine, sine = down[1] / unit, down[0] / unit
    turn = scale * np.array([[cosine, -sine], [sine, cosine]]) / to_part
    matrix = np.column_stack([turn, np.array(_EYES_XY) - turn @ ((eyes - first) * to_part)])
    return np.asarray(
        cv2.warpAffine(part, matrix, (_WIDTH_PX, _HEIGHT_PX), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE),
        np.uint8,
    )


def _eyes_and_down(face: Face) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns the point between the eyes and the vector from there to the mouth, else both from the box."""
    left, top, right, bottom = face.box_xyxy
    longer = max(longer_side(face.box_xyxy), 1.0)
    points = np.array(face.landmarks, np.float64)
    if points.shape == (5, 2) and np.isfinite(points).all():
        eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
        inside = left <= eyes[0] <= right and top <= eyes[1] <= bottom
        if inside and 0.1 * longer < float(np.hypot(*(mouth - eyes))) < longer:
            return eyes, mouth - eyes
    return np.array([(left + right) / 2, top + 0.4 * (bottom - top)]), np.array([0.0, _MOUTH_OF_BOX * longer])
