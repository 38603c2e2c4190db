"""Picture -> whether it is made of a palette. Dither and steps look like forgeries and interlacing."""

from __future__ import annotations

import numpy as np

from tinydf_runtime.types import Image

_PALETTE_COLOURS = 256
"""As many as a GIF or an indexed PNG can hold."""
_GREY_LEVELS = 24
"""A grey photo has a hundred and more."""
_PIXELS_AT_ONCE = 1 << 21
_LOOKED_AT = 96
"""Rows and columns, evenly spread, that settle it for nearly every picture."""


def has_few_colours(image: Image) -> bool:
    """Returns whether a picture has no more colours than a palette holds. So has a plain one: look at several.

    Args:
        image: H x W x 3, uint8, as decoded: scaling makes new colours.
    """
    height, width = image.shape[:2]
    if height * width <= 2 * _PALETTE_COLOURS:
        return False
    rows = np.linspace(0, height - 1, min(_LOOKED_AT, height)).astype(np.intp)
    columns = np.linspace(0, width - 1, min(_LOOKED_AT, width)).astype(np.intp)
    return _few(image[np.ix_(rows, columns)]) and _few(image)


def _few(image: Image) -> bool:
    """Returns whether there are no more colours than a palette holds. Memory does not grow with the picture."""
    seen = np.zeros(1 << 24, np.bool_)
    found = np.empty(0, np.intp)
    step = max(1, _PIXELS_AT_ONCE // image.shape[1])
    for top in range(0, image.shape[0], step):
        rows = image[top : top + step]
        seen[rows[..., 0].astype(np.uint32) << 16 | rows[..., 1].astype(np.uint32) << 8 | rows[..., 2]] = True
        found = np.flatnonzero(seen)
        if len(found) > _PALETTE_COLOURS:
            return False
    grey = bool(((found >> 16 == (found >> 8 & 255)) & (found >> 16 == (found & 255))).all())
    return len(found) <= (_GREY_LEVELS if grey else _PALETTE_COLOURS)
