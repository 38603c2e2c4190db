"""HDR picture as an OpenCV without tone mapping decodes it -> as it looks on an ordinary screen.

Such an OpenCV (4.x) hands over ST 2084 (PQ) or HLG code values as if they were SDR: flat, dull pictures in false
colours, unlike anything that the networks were trained on.
"""

from __future__ import annotations

import re

import cv2
import numpy as np
from numpy.typing import NDArray

from tinydf_runtime.io.containers.container import PQ
from tinydf_runtime.types import Image

_WHITE_NITS = 203
"""Light of SDR white in an HDR picture: ITU-R BT.2408."""
_HLG_PEAK_NITS = 1000
_KNEE = 0.75
"""Light, as a share of SDR white, up to which nothing is changed; what is brighter is squeezed in above."""
_DISPLAY_GAMMA = 2.4
_STRIP_ROWS = 256
_SWSCALE_THAT_MAPS = 9

# ITU-R BT.2087: BT.2020 to BT.709 primaries in linear light, for BGR.
_BT709_OF_BT2020 = np.array(
    [[1.1187, -0.1006, -0.0182], [-0.0083, 1.1329, -0.1246], [-0.0728, -0.5876, 1.6605]], np.float32
)


def tone_map(image: Image, transfer: int, decoded_as_bt601: bool) -> Image:
    """Brings an HDR picture's light into the range of an ordinary screen.

    Args:
        image: H x W x 3, BGR code values in BT.2020, uint8.
        transfer: ``container.PQ`` or ``container.HLG``.
        decoded_as_bt601: Whether the decoder took the colour planes for BT.601, as OpenCV 4 takes all.

    Returns:
        H x W x 3, BGR, BT.709, uint8.
    """
    light = _light_table(transfer)
    mapped = np.empty_like(image)
    # In strips, since light takes 12 bytes a pixel.
    for top in range(0, len(image), _STRIP_ROWS):
        strip = image[top : top + _STRIP_ROWS]
        if decoded_as_bt601:
            strip = np.asarray(cv2.transform(strip, _BT2020_OF_BT601), np.uint8)
        linear = cv2.transform(cv2.LUT(strip, light), _BT709_OF_BT2020)
        encoded = cv2.pow(np.clip(linear, 0, 1, out=linear), 1 / _DISPLAY_GAMMA)
        mapped[top : top + _STRIP_ROWS] = cv2.convertScaleAbs(encoded, alpha=255)
    return mapped


def opencv_tone_maps() -> bool:
    """Returns whether this OpenCV brings HDR into the range of an ordinary screen by itself.

    It does with the libswscale of FFmpeg 8, after 2.4 s of preparation a file. Trying would take as long.
    """
    found = re.search(r"swscale:\s+YES \((\d+)", cv2.getBuildInformation())
    return found is not None and int(found[1]) >= _SWSCALE_THAT_MAPS


def _light_table(transfer: int) -> NDArray[np.float32]:
    """Returns light as a share of SDR white for each of 256 code values, squeezed to at most 1."""
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
