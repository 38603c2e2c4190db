"""Interlaced frame -> one of its two fields. Fields woven row by row turn motion into combing."""

from __future__ import annotations

import cv2
import numpy as np

from tinydf_runtime.types import Image

HEIGHTS = frozenset({480, 486, 576, 1080})
"""Heights of the picture formats that were ever interlaced; no other is looked at."""

_LEAST_STEP = 24
_LEAST_SHARE = 0.002
_COLUMNS = 160


def is_combed(image: Image) -> bool:
    """Returns whether rows belong to two moments: somewhere each row differs from the rows next to it, in turns.

    What decides is the pixels, since many a file of interlaced pictures says that they are not, and the reverse.

    Args:
        image: H x W x 3, BGR, uint8, as stored.
    """
    if image.shape[0] not in HEIGHTS:
        return False
    # Mean over some columns: noise has no part in it, and there is less to compute.
    green, size = cv2.extractChannel(image, 1), (min(_COLUMNS, image.shape[1]), image.shape[0])
    rows = np.asarray(cv2.resize(green, size, interpolation=cv2.INTER_AREA), np.int16)
    step = 2 * rows[1:-1] - rows[:-2] - rows[2:]
    up, down = step > _LEAST_STEP, step < -_LEAST_STEP
    # A line in the picture does this once or twice; only woven rows go on like that.
    woven = (up[:-3] & down[1:-2] & up[2:-1] & down[3:]) | (down[:-3] & up[1:-2] & down[2:-1] & up[3:])
    return bool(np.count_nonzero(woven) > _LEAST_SHARE * woven.size)


def keep_one_field(image: Image) -> Image:
    """Returns the picture of the upper field alone, its missing rows filled from those around them."""
    height, width = image.shape[:2]
    return np.asarray(cv2.resize(image[::2], (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
