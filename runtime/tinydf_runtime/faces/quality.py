"""Crop and landmarks -> face quality: what the crop is worth as evidence, by component.

Named and mapped as in ISO/IEC 29794-5:2025 and its reference implementation OFIQ where the same thing is measured; the
five landmarks stand in for that standard's head model, and the crop's middle for its face mask.
"""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from tinydf_runtime.faces.crop import eyes_to_mouth
from tinydf_runtime.types import Face, FaceQuality, Image, longer_side

__all__ = ["FaceQuality", "measure_quality"]

_DARK, _BRIGHT = 25, 247
"""Luma up to and from which OFIQ calls a pixel under- and overexposed."""
_MIDDLE_PX = 84
"""Side to which the inner three quarters are shrunk: half of the network's scale, so that grain is no detail."""
_HALF_SHARP = 60.0
"""Variance of the Laplacian at which sharpness is one half: nine in ten press photos have twice that or more."""
_FULL_EYES_PX = 38.0
"""Distance of the eyes from which a face shows all the detail that the network can use: a box of some 112 px."""
_EYES_OF_BOX = 0.34
"""Distance of the eyes as a share of a face's longer side."""
_MOUTH_BELOW_EYES = 1.04
"""Distance from eyes to mouth, in eye distances."""
_NOSE_DEPTH = 0.55
"""How far the nose's tip lies in front of the eyes, in eye distances."""
_NOSE_PLACE = 0.58
"""Position of the nose's tip between eyes (0) and mouth (1) in a frontal face."""
_LEAST_CONTRAST = 32
"""Levels between the darkest and the brightest pixel; what has fewer is no face, painted or not."""
_ROUGHNESS_PX = 4.0
_LOWEST_FREQUENCY, _RING_WIDTH = 0.12, 0.05
"""Cycles a pixel. Below lie the face's own shapes."""
_SCREEN_PEAK = 5000.0
"""A screen's grid stands out of the frequencies around it by some ten thousand; of 80 photos and video frames, enlarged
small faces included, none had more than 700."""
_SILENCE = 1e-3
_STEPS = tuple(step / 1000 for step in range(1001))
"""All values of a component, shared: an hour's faces would take a third more memory with numbers of their own."""


def measure_quality(crop: Image, face: Face) -> FaceQuality:
    """Returns the quality components of a face. Takes a fraction of a millisecond.

    Args:
        crop: What ``crop_face`` cut out for ``face``: side x side x 3, RGB, uint8.
        face: Where it was found, in pixels of the frame. Without usable landmarks its pose counts as frontal.
    """
    border = crop.shape[0] // 8
    middle = cv2.resize(crop[border:-border, border:-border], (_MIDDLE_PX, _MIDDLE_PX), interpolation=cv2.INTER_AREA)
    luma = cv2.cvtColor(middle, cv2.COLOR_RGB2GRAY)
    energy = float(cv2.meanStdDev(cv2.Laplacian(luma, cv2.CV_16S))[1].item()) ** 2
    quarter = crop.shape[0] // 4
    inner = np.asarray(cv2.cvtColor(crop[quarter:-quarter, quarter:-quarter], cv2.COLOR_RGB2GRAY), np.float32)
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
        fine_steps=_step(_fine_steps(inner)),
        pattern_prevention=_step(_pattern_prevention(inner)),
    )


def _step(value: float) -> float:
    """Returns a value of 0..1 to three digits."""
    return _STEPS[round(value * 1000)]


def _fine_steps(luma: NDArray[np.float32]) -> float:
    """Returns the share of pixels that differ from the one on the right or the one below; 1 without any contrast."""
    if float(np.ptp(luma)) < _LEAST_CONTRAST:
        return 1.0
    right, below = np.diff(luma, axis=1)[:-1] != 0, np.diff(luma, axis=0)[:, :-1] != 0
    return float((right | below).mean())


def _pattern_prevention(luma: NDArray[np.float32]) -> float:
    """Returns how far the sharpest peak of the spectrum stays below that which the grid of a screen leaves, 0..1.

    A regular pattern puts its power into a few frequencies; skin, hair and noise spread theirs.
    """
    rough = (luma - cv2.GaussianBlur(luma, (0, 0), _ROUGHNESS_PX)) * _window(luma.shape[0])
    power = np.abs(np.fft.rfft2(rough)) ** 2
    rings = _rings(luma.shape[0])
    peak = 0.0
    for ring in range(1, int(rings.max()) + 1):
        values = power[rings == ring]
        peak = max(peak, float(values.max() / (np.median(values) + _SILENCE)))
    return float(np.clip((math.log(_SCREEN_PEAK) - math.log(peak + 1)) / math.log(_SCREEN_PEAK), 0, 1))


@lru_cache(maxsize=4)
def _window(side: int) -> NDArray[np.float32]:
    """Returns the weights that let a square fade out towards its edges."""
    fading = np.hanning(side)
    return np.outer(fading, fading).astype(np.float32)


@lru_cache(maxsize=4)
def _rings(side: int) -> NDArray[np.int64]:
    """Returns which ring of like frequencies each place of a spectrum belongs to, 0 for none."""
    down, across = np.meshgrid(np.fft.fftfreq(side), np.fft.rfftfreq(side), indexing="ij")
    radius = np.hypot(down, across)
    ring = 1 + ((radius - _LOWEST_FREQUENCY) / _RING_WIDTH).astype(np.int64)
    return np.where((radius >= _LOWEST_FREQUENCY) & (radius < 0.5), ring, 0)


def _eyes_and_pose(face: Face) -> tuple[float, tuple[float, float, float]]:
    """Returns the distance of the eyes in pixels, as if seen from the front, and yaw, pitch and roll in radians."""
    longer = longer_side(face.box_xyxy)
    down = eyes_to_mouth(face.box_xyxy, face.landmarks)
    if down is None:
        return longer * _EYES_OF_BOX, (0.0, 0.0, 0.0)
    points = np.array(face.landmarks, np.float64)
    height, width = float(np.hypot(*down)), float(np.hypot(*(points[1] - points[0])))
    # A turned head brings its eyes together, but not its mouth nearer to them.
    eyes_px = max(width, height / _MOUTH_BELOW_EYES)
    down = down / height
    nose = points[2] - points[:2].mean(axis=0)
    aside, below = float(nose[0] * down[1] - nose[1] * down[0]), float(nose @ down)
    depth = _NOSE_DEPTH * eyes_px
    # Seen from the side the nose's tip does not leave the eyes' line further than it is deep.
    yaw = math.asin(min(1.0, abs(aside) / depth))
    pitch = math.asin(min(1.0, abs(below - _NOSE_PLACE * height) / depth))
    roll = math.atan2(abs(float(down[0])), float(down[1]))
    return eyes_px, (yaw, pitch, roll)
