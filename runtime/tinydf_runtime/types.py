"""Frames, faces and scores: the values that pass from step to step. What a caller receives is in ``results``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Image: TypeAlias = NDArray[np.uint8]
BoxXYXY: TypeAlias = tuple[float, float, float, float]
Landmarks: TypeAlias = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """One upright picture of a video.

    Attributes:
        index: Position in the stream, from 0.
        time_s: Presentation time in seconds.
        image: H x W x 3, BGR, uint8.
    """

    index: int
    time_s: float
    image: Image


@dataclass(frozen=True, slots=True)
class Face:
    """A face in a frame.

    Attributes:
        box_xyxy: Left, top, right, bottom in pixels; may reach beyond the image.
        landmarks: Right eye, left eye, nose tip, right and left mouth corner as x, y in pixels (right = the person's).
        score: Detection score, 0..1.
    """

    box_xyxy: BoxXYXY
    landmarks: Landmarks
    score: float


@dataclass(frozen=True, slots=True)
class Scores:
    """What an engine says about a batch of N crops.

    Attributes:
        fake_probability: N, float32, 0..1.
        forgery_map: N x h x w, float32, 0..1; rows and columns lie over the crop.
    """

    fake_probability: NDArray[np.float32]
    forgery_map: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class SmallFrame:
    """A whole picture, shrunk.

    Attributes:
        image: h x w x 3, BGR, uint8.
        width: Of the picture as it was, in pixels.
        height: Likewise.
    """

    image: Image = field(repr=False)
    width: int
    height: int
