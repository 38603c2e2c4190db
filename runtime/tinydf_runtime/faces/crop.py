"""Face -> square crop. Preparing data, training, calibration and every engine cut faces here and nowhere else."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

import cv2
import numpy as np

from tinydf_runtime.errors import OutsideImageError
from tinydf_runtime.types import BoxXYXY, Image, longer_side


@dataclass(frozen=True, slots=True)
class CropConfig:
    """How a face becomes the network's input. Its hash travels in every model file.

    Attributes:
        side_px: Side of the crop in pixels.
        margin: Border added on each side, as a share of the box's longer side.
        version: Raised whenever ``crop_face`` changes what it returns.
    """

    side_px: int = 224
    margin: float = 0.125
    version: int = 1

    def sha256(self) -> str:
        """Returns the hash that a model file carries and an engine compares."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def crop_square_xyxy(box_xyxy: BoxXYXY, margin: float) -> tuple[int, int, int, int]:
    """Returns the square, in whole pixels, that ``crop_face`` cuts around a box."""
    left, top, right, bottom = box_xyxy
    side = max(1, round(longer_side(box_xyxy) * (1 + 2 * margin)))
    x = round((left + right - side) / 2)
    y = round((top + bottom - side) / 2)
    return x, y, x + side, y + side


def crop_face(image: Image, box_xyxy: BoxXYXY, config: CropConfig) -> Image:
    """Cuts a face out as a square, without turning it.

    Where the square reaches beyond the image the border is mirrored. Shrinking averages areas, so that no pixel is
    skipped; enlarging interpolates linearly.

    Args:
        image: H x W x 3, uint8, any colour order.
        box_xyxy: The face in pixels.
        config: Side and margin.

    Returns:
        side_px x side_px x 3, uint8, colour order of ``image``.

    Raises:
        OutsideImageError: The square does not touch the image.
    """
    x0, y0, x1, y1 = crop_square_xyxy(box_xyxy, config.margin)
    height, width = image.shape[:2]
    if x1 <= 0 or y1 <= 0 or x0 >= width or y0 >= height:
        raise OutsideImageError(
            f"box {tuple(round(v, 1) for v in box_xyxy)}: lies outside the {width} x {height} image. "
            "Give boxes as left, top, right, bottom in pixels of this image."
        )
    inside = image[max(y0, 0) : y1, max(x0, 0) : x1]
    if x0 < 0 or y0 < 0 or x1 > width or y1 > height:
        padded = cv2.copyMakeBorder(
            inside,
            max(-y0, 0),
            max(y1 - height, 0),
            max(-x0, 0),
            max(x1 - width, 0),
            cv2.BORDER_REFLECT_101 if min(inside.shape[:2]) > 1 else cv2.BORDER_REPLICATE,
        )
        inside = np.asarray(padded, dtype=np.uint8)
    interpolation = cv2.INTER_AREA if x1 - x0 > config.side_px else cv2.INTER_LINEAR
    side = (config.side_px, config.side_px)
    return np.asarray(cv2.resize(inside, side, interpolation=interpolation), dtype=np.uint8)
