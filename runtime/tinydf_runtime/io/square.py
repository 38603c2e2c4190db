"""Picture of pixels that are not square -> as it is shown."""

from __future__ import annotations

import math

import cv2
import numpy as np

from tinydf_runtime.types import Image

_WIDEST = 4.0
"""Anamorphic film and the oddest recordings stay below three; what is further from square is no true word of a file."""
_NEXT_TO_SQUARE = 0.01


def pixel_aspect(numerator: float, denominator: float) -> float:
    """Returns the width of a pixel as a share of its height, 1 where the file says nothing or nonsense."""
    aspect = numerator / denominator if numerator > 0 and denominator > 0 else 1.0
    sensible = math.isfinite(aspect) and 1 / _WIDEST <= aspect <= _WIDEST
    return aspect if sensible and abs(aspect - 1) > _NEXT_TO_SQUARE else 1.0


def square_size(width: int, height: int, aspect: float) -> tuple[int, int]:
    """Returns width and height at which pixels are square; no pixel is lost, since the shorter way is stretched."""
    return (round(width * aspect), height) if aspect >= 1 else (width, round(height / aspect))


def make_square(image: Image, aspect: float) -> Image:
    """Returns a picture as it is shown."""
    if aspect == 1:
        return image
    size = square_size(image.shape[1], image.shape[0], aspect)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC), np.uint8)
