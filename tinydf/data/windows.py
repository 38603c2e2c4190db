"""Face in a frame -> the window that is stored: ``crop_face`` cuts the same pixels from window and frame."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from tinydf_runtime.errors import OutsideImageError
from tinydf_runtime.faces.crop import CropConfig, crop_face, crop_square_xyxy
from tinydf_runtime.types import BoxXYXY, Face, Image

ROOM = 0.4
"""Kept around the face on each side, as a share of its box's longer side, as far as the frame reaches: a tilted face's
square is turned, and its corners reach as far."""

# The table holds 32-bit numbers; a multiple of this below 16,384 px comes back from it unchanged.
_GRID_PX = 1 / 1024


@dataclass(frozen=True, slots=True)
class Window:
    """A piece of a frame around a face.

    Attributes:
        image: H x W x 3, BGR, uint8: the frame's own pixels.
        face: In pixels of ``image``; its box is rounded to 1/1024 px, so that 32-bit numbers hold it.
        sharpness: Variance of the Laplacian of the 224 px crop's luma.
    """

    image: Image
    face: Face
    sharpness: float


def cut_window(frame: Image, face: Face, crop_config: CropConfig) -> Window | None:
    """Cuts a face with a margin out of a frame, without resampling; None if its square misses the frame.

    ``crop_face`` mirrors at the border of a picture what it lacks. A window ends there only where the frame does, so
    that both mirror the same pixels.

    Args:
        frame: H x W x 3, BGR, uint8.
        face: In pixels of the frame.
        crop_config: Of the crop.
    """
    left, top, right, bottom = (round(value / _GRID_PX) * _GRID_PX for value in face.box_xyxy)
    # The larger of the square that is cut and a square with the room: a narrow box's square reaches far beyond it.
    x0, y0, x1, y1 = crop_square_xyxy((left, top, right, bottom), max(crop_config.margin, ROOM))
    height, width = frame.shape[:2]
    # Crop squares round halves to even: an origin that is even keeps what is even.
    x0, y0 = max(_even_below(x0 - 2), 0), max(_even_below(y0 - 2), 0)
    x1, y1 = min(x1 + 2, width), min(y1 + 2, height)
    if x0 >= x1 or y0 >= y1:
        return None
    image = np.ascontiguousarray(frame[y0:y1, x0:x1])
    box: BoxXYXY = (left - x0, top - y0, right - x0, bottom - y0)
    points = tuple((x - x0, y - y0) for x, y in face.landmarks)
    try:
        crop = crop_face(image, box, crop_config, points)
    except OutsideImageError:
        return None
    return Window(image, Face(box, points, face.score), measure_sharpness(crop))


def measure_sharpness(crop: Image) -> float:
    """Returns the variance of the Laplacian of a crop's luma (Pech-Pacheco et al., ICPR 2000).

    Args:
        crop: H x W x 3, BGR, uint8.
    """
    return float(cv2.Laplacian(cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY), cv2.CV_64F).var())


def _even_below(value: int) -> int:
    return 2 * math.floor(value / 2)
