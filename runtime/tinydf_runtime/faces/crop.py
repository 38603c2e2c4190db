"""Face -> square crop. Preparing data, training, calibration and every engine cut faces here and nowhere else."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tinydf_runtime.errors import OutsideImageError
from tinydf_runtime.types import BoxXYXY, Face, Image, Landmarks, longer_side

UPRIGHT_TO_DEG = 20
"""Tilt up to which a face is cut as it stands: turning costs its finest grain. Beyond, the network, which learned from
upright faces, does better on turned ones (docs/experiments.md)."""
LEAST_OF_BOX = 0.1
"""Eyes and mouth that lie closer together than this share of the longer side are no landmarks."""
_FINEST = 2
"""A tilted face is turned at this many times the crop's scale, at most, and then shrunk."""
_Square = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class CropConfig:
    """How a face becomes the network's input. Its hash travels in every model file.

    Attributes:
        side_px: Side of the crop in pixels.
        margin: Border added on each side, as a share of the box's longer side.
        version: Raised whenever ``crop_face`` cuts other pixels of an upright face.
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


def crop_face(image: Image, box_xyxy: BoxXYXY, config: CropConfig, landmarks: Landmarks = ()) -> Image:
    """Cuts a face out as a square. A face that its landmarks show tilted by more than 20 degrees is turned upright.

    Where the square reaches beyond the image the border is mirrored. Shrinking averages areas, so that no pixel is
    skipped; enlarging and turning interpolate linearly.

    Args:
        image: H x W x 3, uint8, any colour order.
        box_xyxy: The face in pixels.
        config: Side and margin.
        landmarks: As ``Face.landmarks``, in pixels. Without usable ones the square is cut as it stands.

    Returns:
        side_px x side_px x 3, uint8, colour order of ``image``.

    Raises:
        OutsideImageError: The square does not touch the image.
    """
    square = crop_square_xyxy(box_xyxy, config.margin)
    x0, y0, x1, y1 = square
    height, width = image.shape[:2]
    if x1 <= 0 or y1 <= 0 or x0 >= width or y0 >= height:
        raise OutsideImageError(
            f"box {tuple(round(v, 1) for v in box_xyxy)}: lies outside the {width} x {height} image. "
            "Give boxes as left, top, right, bottom in pixels of this image."
        )
    turn_deg = _turn_deg(box_xyxy, landmarks)
    return _cut_turned(image, square, config.side_px, turn_deg) if turn_deg else _cut(image, square, config.side_px)


def lay_over_picture(forgery_map: NDArray[np.float32], face: Face) -> NDArray[np.float32]:
    """Turns a map of a crop back, so that it lies over ``crop_square_xyxy`` in the picture; 0 where nothing was seen.

    Args:
        forgery_map: h x h, over what ``crop_face`` returned.
        face: Whose box and landmarks it was given.
    """
    turn_deg = _turn_deg(face.box_xyxy, face.landmarks)
    if not turn_deg:
        return forgery_map
    side = len(forgery_map)
    x, y = _turned_grid(side, side, side, -turn_deg)
    return np.asarray(cv2.remap(forgery_map, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT), np.float32)


def eyes_to_mouth(box_xyxy: BoxXYXY, landmarks: Landmarks) -> NDArray[np.float64] | None:
    """Returns the way from the middle of the eyes to that of the mouth: x, y in pixels; None without usable landmarks.

    Args:
        box_xyxy: The face in pixels.
        landmarks: As ``Face.landmarks``.
    """
    points = np.array(landmarks, np.float64)
    if points.shape != (5, 2) or not np.isfinite(points).all():
        return None
    down: NDArray[np.float64] = points[3:].mean(axis=0) - points[:2].mean(axis=0)
    return down if np.hypot(*down) >= LEAST_OF_BOX * longer_side(box_xyxy) else None


def _turn_deg(box_xyxy: BoxXYXY, landmarks: Landmarks) -> int:
    """Returns how far to turn a face anticlockwise: whole degrees, so that landmarks kept as 32 bits give the same."""
    down = eyes_to_mouth(box_xyxy, landmarks)
    if down is None:
        return 0
    tilt_deg = round(math.degrees(math.atan2(-float(down[0]), float(down[1]))))
    return tilt_deg if abs(tilt_deg) > UPRIGHT_TO_DEG else 0


def _cut_turned(image: Image, square: _Square, side_px: int, turn_deg: int) -> Image:
    """Cuts a larger square as it stands, and a turned one of ``square``'s size out of its middle."""
    x0, y0, x1, y1 = square
    length = x1 - x0
    # Half a diagonal is .7072 of a side.
    room = math.ceil(0.2072 * length) + 1
    whole = length + 2 * room
    whole_px = round(whole * min(1.0, _FINEST * side_px / length))
    around = _cut(image, (x0 - room, y0 - room, x1 + room, y1 + room), whole_px)
    span_px = length * whole_px / whole
    fine_px = max(side_px, round(span_px))
    # Places in 32nds of a pixel: OpenCV then computes in whole numbers, alike on every processor.
    places = cv2.convertMaps(*_turned_grid(fine_px, span_px, whole_px, turn_deg), cv2.CV_16SC2)
    turned = cv2.remap(around, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.resize(turned, (side_px, side_px), interpolation=cv2.INTER_AREA), np.uint8)


def _turned_grid(
    count: int, span_px: float, whole_px: int, turn_deg: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Returns where in a square picture the pixels of a turned square in its middle lie.

    Args:
        count: Pixels of the turned square's side.
        span_px: Its side in pixels of the picture.
        whole_px: The picture's side.
        turn_deg: How far the picture seems turned anticlockwise when seen through that square.

    Returns:
        x and y, count x count each.
    """
    steps = ((np.arange(count) + 0.5) / count - 0.5) * span_px
    along, across = steps[:, None], steps[None, :]
    cosine, sine = math.cos(math.radians(turn_deg)), math.sin(math.radians(turn_deg))
    x = across * cosine - along * sine + (whole_px - 1) / 2
    y = along * cosine + across * sine + (whole_px - 1) / 2
    return x.astype(np.float32), y.astype(np.float32)


def _cut(image: Image, square: _Square, side_px: int) -> Image:
    """Cuts a square that touches the image as it stands, and scales it."""
    x0, y0, x1, y1 = square
    height, width = image.shape[:2]
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
    interpolation = cv2.INTER_AREA if x1 - x0 > side_px else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(inside, (side_px, side_px), interpolation=interpolation), dtype=np.uint8)
