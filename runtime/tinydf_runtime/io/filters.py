"""Decoded picture -> as it is shown: one field of an interlaced frame, square pixels, transparency on white."""

from __future__ import annotations

import math

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
