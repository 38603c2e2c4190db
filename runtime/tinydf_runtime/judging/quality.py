"""Crop and landmarks -> how much of a face there is to judge.

Named and mapped as in ISO/IEC 29794-5:2025 and its reference implementation OFIQ where the same thing is measured; the
five landmarks stand in for that standard's head model, and the crop's middle for its face mask.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from tinydf_runtime.types import Face, FaceQuality, Image

__all__ = ["FaceQuality", "measure_quality"]

_DARK, _BRIGHT = 25, 247
"""Luma up to and from which OFIQ calls a pixel under- and overexposed."""
_MIDDLE_PX = 84
"""Side of the inner three quarters when looked at: half of the network's scale, so that grain is no detail."""
_HALF_SHARP = 60.0
"""Variance of the Laplacian at which sharpness is one half: nine in ten press photos have twice that or more."""
_FULL_EYES_PX = 38.0
"""Distance of the eyes from which a face shows all the detail that the network can use: a box of some 112 px."""
_EYES_OF_BOX = 0.34
"""Distance of the eyes as a share of a face's longer side."""
_LEAST_OF_BOX = 0.1
"""Eyes and mouth that lie closer together than this share of the longer side are no landmarks."""
_MOUTH_BELOW_EYES = 1.04
"""Way from the eyes to the mouth, in eye distances."""
_NOSE_DEPTH = 0.55
"""How far the nose's tip lies before the eyes, in eye distances."""
_NOSE_PLACE = 0.58
"""Where the nose's tip lies on the way from the eyes to the mouth when a face looks straight ahead."""
_STEPS = tuple(step / 1000 for step in range(1001))
"""The values that a component can have. Every face of an hour refers to these: own numbers would take a third more."""


def measure_quality(crop: Image, face: Face) -> FaceQuality:
    """Returns what a face's crop and landmarks say about its worth as evidence. Takes a fraction of a millisecond.

    Args:
        crop: What ``crop_face`` cut out for ``face``: side x side x 3, RGB, uint8.
        face: Where it was found, in pixels of the frame. Without usable landmarks its pose is taken for straight.
    """
    border = crop.shape[0] // 8
    middle = cv2.resize(crop[border:-border, border:-border], (_MIDDLE_PX, _MIDDLE_PX), interpolation=cv2.INTER_AREA)
    luma = cv2.cvtColor(middle, cv2.COLOR_RGB2GRAY)
    energy = float(cv2.meanStdDev(cv2.Laplacian(luma, cv2.CV_16S))[1].item()) ** 2
    counts = np.bincount(luma.ravel(), minlength=256)
    under, over = float(counts[: _DARK + 1].sum()) / luma.size, float(counts[_BRIGHT:].sum()) / luma.size
    eyes_px, angles = _eyes_and_pose(face)
    yaw, pitch, roll = (_step(math.cos(angle) ** 2) for angle in angles)
    return FaceQuality(
        sharpness=_step(energy / (energy + _HALF_SHARP)),
        under_exposure_prevention=_step(1 - under),
        over_exposure_prevention=_step(1 - over),
        head_pose_yaw=yaw,
        head_pose_pitch=pitch,
        head_pose_roll=roll,
        inter_eye_distance=_step(min(1.0, eyes_px / _FULL_EYES_PX)),
    )


def _step(value: float) -> float:
    """Returns a value of 0..1 to three digits."""
    return _STEPS[round(value * 1000)]


def _eyes_and_pose(face: Face) -> tuple[float, tuple[float, float, float]]:
    """Returns the distance of the eyes in pixels, as if seen from the front, and yaw, pitch and roll in radians."""
    left, top, right, bottom = face.box_xyxy
    longer = max(right - left, bottom - top)
    points = np.array(face.landmarks, np.float64)
    if points.shape != (5, 2) or not np.isfinite(points).all():
        return longer * _EYES_OF_BOX, (0.0, 0.0, 0.0)
    eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
    down, across = mouth - eyes, points[1] - points[0]
    height, width = float(np.hypot(*down)), float(np.hypot(*across))
    if height < _LEAST_OF_BOX * longer:
        return longer * _EYES_OF_BOX, (0.0, 0.0, 0.0)
    # A turned head brings its eyes together, but not its mouth nearer to them.
    eyes_px = max(width, height / _MOUTH_BELOW_EYES)
    down /= height
    nose = points[2] - eyes
    aside, below = float(nose[0] * down[1] - nose[1] * down[0]), float(nose @ down)
    depth = _NOSE_DEPTH * eyes_px
    # Seen from the side the nose's tip does not leave the eyes' line further than it is deep.
    yaw = math.asin(min(1.0, abs(aside) / depth))
    pitch = math.asin(min(1.0, abs(below - _NOSE_PLACE * height) / depth))
    roll = math.atan2(abs(float(down[0])), float(down[1]))
    return eyes_px, (yaw, pitch, roll)
