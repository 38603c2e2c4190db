"""Decoded picture -> as it is shown: one field of an interlaced frame, square pixels, transparency on white, SDR.

An OpenCV without tone mapping (4.x) hands over ST 2084 (PQ) or HLG code values as if they were SDR: flat, dull pictures
in false colours, unlike anything that the networks were trained on.
"""

from __future__ import annotations

import math
import re

import cv2
import numpy as np
from numpy.typing import NDArray

from tinydf_runtime.io.containers.container import PQ
from tinydf_runtime.types import Image

HEIGHTS = frozenset({480, 486, 576, 1080})
"""Heights of interlaced formats; other heights are not checked."""

_LEAST_STEP = 24
_LEAST_SHARE = 0.002
_COLUMNS = 160


def is_interlaced(image: Image) -> bool:
    """Returns whether a frame shows combing: neighbouring rows that alternate because they were taken at two times.

    The pixels decide, not the file's flag, which is often wrong.

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
    # An edge in the picture alternates once or twice; only interlaced rows keep alternating.
    woven = (up[:-3] & down[1:-2] & up[2:-1] & down[3:]) | (down[:-3] & up[1:-2] & down[2:-1] & up[3:])
    return bool(np.count_nonzero(woven) > _LEAST_SHARE * woven.size)


def keep_one_field(image: Image) -> Image:
    """Returns the upper field of an H x W x 3 frame at full height, the rows between interpolated."""
    height, width = image.shape[:2]
    return np.asarray(cv2.resize(image[::2], (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


_WIDEST = 4.0
"""Largest pixel aspect ratio: anamorphic film stays below three; larger values are errors in the file."""
_NEXT_TO_SQUARE = 0.01


def pixel_aspect(numerator: float, denominator: float) -> float:
    """Returns the width of a pixel as a share of its height, 1 where the file says nothing or nonsense."""
    aspect = numerator / denominator if numerator > 0 and denominator > 0 else 1.0
    sensible = math.isfinite(aspect) and 1 / _WIDEST <= aspect <= _WIDEST
    return aspect if sensible and abs(aspect - 1) > _NEXT_TO_SQUARE else 1.0


def square_size(width: int, height: int, aspect: float) -> tuple[int, int]:
    """Returns width and height at which pixels are square; no pixel is lost, since the shorter side is enlarged."""
    return (round(width * aspect), height) if aspect >= 1 else (width, round(height / aspect))


def make_square(image: Image, aspect: float) -> Image:
    """Returns an H x W x 3 picture scaled so that its pixels are square; see ``pixel_aspect``."""
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
    """Returns the alpha channel in the picture's orientation: that of eight in which the colours are equal."""
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


_WHITE_NITS = 203
"""Luminance of SDR white in an HDR picture, in nits: ITU-R BT.2408."""
_HLG_PEAK_NITS = 1000
_KNEE = 0.75
"""Knee as a share of SDR white: darker light is unchanged, brighter light is compressed above it."""
_DISPLAY_GAMMA = 2.4
_STRIP_ROWS = 256
_SWSCALE_THAT_MAPS = 9

# ITU-R BT.2087: BT.2020 to BT.709 primaries in linear light, for BGR.
_BT709_OF_BT2020 = np.array(
    [[1.1187, -0.1006, -0.0182], [-0.0083, 1.1329, -0.1246], [-0.0728, -0.5876, 1.6605]], np.float32
)


def tone_map(image: Image, transfer: int, decoded_as_bt601: bool) -> Image:
    """Tone-maps an HDR picture to SDR.

    Args:
        image: H x W x 3, BGR code values in BT.2020, uint8.
        transfer: ``container.PQ`` or ``container.HLG``.
        decoded_as_bt601: Whether the decoder took the colour planes for BT.601, as OpenCV 4 takes all.

    Returns:
        H x W x 3, BGR, BT.709, uint8.
    """
    light = _light_table(transfer)
    mapped = np.empty_like(image)
    # In strips, since linear light takes 12 bytes a pixel.
    for top in range(0, len(image), _STRIP_ROWS):
        strip = image[top : top + _STRIP_ROWS]
        if decoded_as_bt601:
            strip = np.asarray(cv2.transform(strip, _BT2020_OF_BT601), np.uint8)
        linear = cv2.transform(cv2.LUT(strip, light), _BT709_OF_BT2020)
        encoded = cv2.pow(np.clip(linear, 0, 1, out=linear), 1 / _DISPLAY_GAMMA)
        mapped[top : top + _STRIP_ROWS] = cv2.convertScaleAbs(encoded, alpha=255)
    return mapped


def opencv_tone_maps() -> bool:
    """Returns whether this OpenCV tone-maps HDR by itself.

    It does with the libswscale of FFmpeg 8, after 2.4 s of preparation a file. Trying would take as long.
    """
    found = re.search(r"swscale:\s+YES \((\d+)", cv2.getBuildInformation())
    return found is not None and int(found[1]) >= _SWSCALE_THAT_MAPS


def _light_table(transfer: int) -> NDArray[np.float32]:
    """Returns linear light as a share of SDR white for each of 256 code values, compressed to at most 1."""
    code = np.arange(256) / 255
    if transfer == PQ:
        # SMPTE ST 2084, equation 4.1.
        power = code ** (1 / 78.84375)
        nits = 10000 * (np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)) ** (1 / 0.1593017578125)
    else:
        # ITU-R BT.2100, table 5: inverse OETF, then the OOTF of a 1000 nits screen for each colour alone.
        scene = np.where(code <= 0.5, code**2 / 3, (np.exp((code - 0.55991073) / 0.17883277) + 0.28466892) / 12)
        nits = _HLG_PEAK_NITS * scene**1.2
    share = nits / _WHITE_NITS
    squeezed = _KNEE + (1 - _KNEE) * -np.expm1(-(share - _KNEE) / (1 - _KNEE))
    return np.where(share <= _KNEE, share, squeezed).astype(np.float32)


def _of_planes(red: float, blue: float) -> NDArray[np.float64]:
    """Returns the matrix from Y, Cb, Cr to B, G, R for the weights of red and blue in Y."""
    green = 1 - red - blue
    return np.array(
        [
            [1, 2 * (1 - blue), 0],
            [1, -2 * blue * (1 - blue) / green, -2 * red * (1 - red) / green],
            [1, 0, 2 * (1 - red)],
        ]
    )


_BT2020_OF_BT601 = (_of_planes(0.2627, 0.0593) @ np.linalg.inv(_of_planes(0.299, 0.114))).astype(np.float32)


_PALETTE_COLOURS = 256
"""Colours that a GIF or an indexed PNG can hold."""
_GREY_LEVELS = 24
"""Below this a grey picture has few levels; a grey photo has a hundred and more."""
_PIXELS_AT_ONCE = 1 << 21
_LOOKED_AT = 96
"""Evenly spread rows and columns that decide nearly every picture."""


def has_few_colours(image: Image) -> bool:
    """Returns whether a picture has no more colours than a palette holds. So has a blank one: check several.

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
