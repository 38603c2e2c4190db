"""Picture with transparent parts -> as it is shown on white. What lies hidden below them was never to be seen."""

from __future__ import annotations

import cv2
import numpy as np

from tinydf_runtime.types import Image

_TURNS = (None, cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_COUNTERCLOCKWISE)


def show_on_white(image: Image, decoded: np.ndarray) -> tuple[Image, bool]:
    """Returns a picture with white where it is transparent, and whether it is so anywhere.

    Args:
        image: H x W x 3, BGR, uint8, upright.
        decoded: The same with its channel of opacity, as stored: not yet upright.
    """
    if decoded.ndim != 3 or decoded.shape[2] != 4:
        return image, False
    scale = 1.0 if decoded.dtype.kind == "f" else float(np.iinfo(decoded.dtype).max)
    opacity = np.asarray(decoded[..., 3] / scale, np.float32)
    if opacity.min() >= 1:
        return image, False
    opacity = _turned_alike(np.ascontiguousarray(decoded[..., :3]), opacity, image)[..., None]
    shown = image * opacity + 255 * (1 - opacity)
    return np.asarray(np.rint(shown), np.uint8), True


def _turned_alike(stored: np.ndarray, opacity: np.ndarray, upright: Image) -> np.ndarray:
    """Returns the opacity turned as the picture was: by whichever of the eight turns makes its colours equal."""
    if stored.shape == upright.shape and np.array_equal(stored, upright):
        return opacity
    best, least = opacity, np.inf
    for turn in _TURNS:
        for mirror in (False, True):
            colours, alike = (_turn(array, turn, mirror) for array in (stored, opacity))
            if colours.shape[:2] != upright.shape[:2]:
                continue
            levels = colours if colours.dtype == np.uint8 else colours / (np.iinfo(colours.dtype).max / 255)
            difference = float(np.abs(levels.astype(np.float32) - upright).mean())
            if difference < least:
                best, least = alike, difference
    return best


def _turn(array: np.ndarray, turn: int | None, mirror: bool) -> np.ndarray:
    turned = array if turn is None else np.asarray(cv2.rotate(array, turn))
    return np.asarray(cv2.flip(turned, 1)) if mirror else turned
