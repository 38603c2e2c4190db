"""What every family of forgeries shares: its shape as a function, and the blend at its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tinydf.data.masks import Mask
from tinydf.data.photometry import as_image
from tinydf_runtime.types import Image

Forger: TypeAlias = Callable[[Image, NDArray[np.float64], Generator, float], tuple[Image, Mask]]
"""``forge(image, landmarks, rng, ease)``: H x W x 3 BGR uint8 and 5 x 2 points in pixels -> the forged image and the
mask of what was replaced, H x W, float32, 0..1. ``ease`` is 0 for forgeries as subtle as good ones are, up to 1 for
coarse ones to learn from first; a family may ignore it."""


def blend(source: Image, target: Image, mask: Mask) -> Image:
    """Returns source where the mask is 1, target where it is 0, a mixture between."""
    return as_image(cv2.blendLinear(source, target, mask, 1 - mask))


def face_width(landmarks: NDArray[np.float64]) -> float:
    """Returns the width of a face in pixels, from ear to ear, estimated from the distance of its eyes."""
    return 2.2 * float(np.linalg.norm(landmarks[1] - landmarks[0]))
