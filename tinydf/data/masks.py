"""Landmarks -> soft mask of the part of a face that a forgery replaces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tinydf.data.mean_face import GROUPS, MODES, place_mean_face

Mask: TypeAlias = NDArray[np.float32]
Region: TypeAlias = Literal["face", "face_and_forehead", "inner", "lower", "random", "eyes", "nose", "mouth"]

REGION_GROUPS: dict[Region, tuple[str, ...]] = {
    "face": ("jaw", "right_brow", "left_brow"),
    "face_and_forehead": ("jaw", "hairline"),
    "inner": ("right_brow", "left_brow", "mouth", "nose"),
    "lower": ("jaw", "nose"),
    "random": tuple(GROUPS),
    "eyes": ("right_brow", "left_brow"),
    "nose": ("nose",),
    "mouth": ("mouth",),
}
# Swaps replace brows to jaw most often; reenactment changes the lower half; old swaps paste the forehead too.
WHOLE_FACE_SHARES: Mapping[Region, float] = {
    "face": 0.4,
    "face_and_forehead": 0.15,
    "inner": 0.15,
    "lower": 0.15,
    "random": 0.15,
}
# Reenactment by neural textures repaints the mouth; retouching and gaze correction, the eyes.
FEATURE_SHARES: Mapping[Region, float] = {"mouth": 0.4, "eyes": 0.35, "nose": 0.25}
RANDOM_REGION_POINTS = 9
BLEND_RATIOS = (0.5, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
"""Opacity of the forged face, after Shiohara & Yamasaki (CVPR 2022), section 3.2, with full opacity, which real
swaps have, more often."""


def draw_mask(
    landmarks: NDArray[np.float64],
    height: int,
    width: int,
    rng: Generator,
    regions: Mapping[Region, float] = WHOLE_FACE_SHARES,
) -> Mask:
    """Draws a soft, deformed mask over a face.

    The mean face is placed on the landmarks and bent by random modes; the hull of a region's points is deformed
    elastically, blurred, eroded or widened, and faded.

    Args:
        landmarks: 5 x 2, pixels.
        height: Height of the image in pixels.
        width: Width of the image in pixels.
        rng: Source of all randomness.
        regions: What may be replaced, and how often each.

    Returns:
        height x width, float32, 0 (kept) to 1 (replaced).
    """
    points = place_mean_face(landmarks, rng.normal(0, 1, len(MODES)))
    region: Region = rng.choice(list(regions), p=list(regions.values()))
    face_px = float(np.ptp(points[GROUPS["jaw"], 0]))
    polygon = cv2.convexHull(_region_points(points, region, landmarks, rng).astype(np.float32))
    mask = np.zeros((height, width), np.float32)
    cv2.fillConvexPoly(mask, polygon.round().astype(np.int32), 1.0, cv2.LINE_AA)
    mask = _deform(mask, face_px, rng)
    mask = _soften(mask, face_px, rng)
    return mask * np.float32(rng.choice(BLEND_RATIOS))


def _region_points(
    points: NDArray[np.float64], region: Region, landmarks: NDArray[np.float64], rng: Generator
) -> NDArray[np.float64]:
    chosen = np.concatenate([points[GROUPS[group]] for group in REGION_GROUPS[region]])
    if region == "random":
        return chosen[rng.choice(len(chosen), RANDOM_REGION_POINTS, replace=False)]
    if region == "eyes":
        # From the brows to as far below the eyes.
        below = np.repeat(landmarks[:2], len(chosen) // 2, axis=0) * 2 - chosen
        return np.concatenate((chosen, below))
    if region in ("nose", "mouth"):
        # What surrounds a feature moves with it.
        centre = chosen.mean(axis=0)
        return np.asarray(centre + (chosen - centre) * rng.uniform(1.2, 1.8))
    return chosen


def _deform(mask: Mask, face_px: float, rng: Generator) -> Mask:
    """Bends the outline: a coarse random displacement field, enlarged smoothly."""
    height, width = mask.shape
    strength_px = face_px * rng.uniform(0, 0.05)
    coarse = rng.normal(0, 1, (6, 6, 2)).astype(np.float32) * np.float32(strength_px)
    field = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return np.asarray(cv2.remap(mask, x + field[..., 0], y + field[..., 1], cv2.INTER_LINEAR), dtype=np.float32)


def _soften(mask: Mask, face_px: float, rng: Generator) -> Mask:
    """Blurs the edge; a threshold in between moves the edge inwards or outwards."""
    if rng.random() < 0.5:
        mask = _blur(mask, face_px * rng.uniform(0.02, 0.1))
        mask = (mask > rng.uniform(0.2, 0.8)).astype(np.float32)
    return _blur(mask, face_px * rng.uniform(0.005, 0.08))


def _blur(mask: Mask, sigma_px: float) -> Mask:
    # Two box filters approach a Gaussian at a cost that does not grow with its width.
    side = max(1, round(sigma_px * 1.7)) * 2 + 1
    return np.asarray(cv2.blur(cv2.blur(mask, (side, side)), (side, side)), dtype=np.float32)
