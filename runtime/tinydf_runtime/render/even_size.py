"""Pictures brought to sides that codecs take."""

from __future__ import annotations

import cv2
import numpy as np

from tinydf_runtime.types import Image


def even_size(size: tuple[int, int]) -> tuple[int, int]:
    """Returns width and height made even: codecs halve the colour planes and would drop a row or column."""
    width, height = size
    return width + width % 2, height + height % 2


def fit_picture(image: Image, size: tuple[int, int]) -> Image:
    """Brings a picture to the video's size: one repeated row or column, or scaled where a video changed its size."""
    width, height = size
    right, below = width - image.shape[1], height - image.shape[0]
    if right == 0 and below == 0:
        return image
    if right in (0, 1) and below in (0, 1):
        return np.asarray(cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE), np.uint8)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
