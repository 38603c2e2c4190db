"""Shape of a face -> soft mask of the part of it that a forgery replaces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.random import Generator
from numpy.typing import NDArray

from tinydf.data.face_mesh import (
    LEFT_BROW,
    LEFT_EYE,
    MESH_POINTS,
    NOSE,
    OUTER_LIPS,
    RIGHT_BROW,
    RIGHT_EYE,
    canonical_mesh,
)
from tinydf.data.geometry import FaceGeometry
from tinydf.data.mean_face import GROUPS, MODES, place_mean_face

Mask: TypeAlias = NDArray[np.float32]
"""H x W, float32, 0..1: the share of each pixel that is replaced."""
Region: TypeAlias = Literal[
    "face", "face_and_forehead", "inner", "lower", "upper", "half", "random", "eyes", "nose", "mouth"
]

BROWS = RIGHT_BROW + LEFT_BROW
OVAL_FROM_NOSE_DOWN = tuple(int(point) for point in canonical_mesh().oval if canonical_mesh().points[point, 1] > 0.4)
OVAL_ABOVE_NOSE = tuple(int(point) for point in canonical_mesh().oval if canonical_mesh().points[point, 1] < 0.4)
REGION_POINTS: dict[Region, tuple[int, ...]] = {
    "face": (*BROWS, *(int(point) for point in canonical_mesh().oval if canonical_mesh().points[point, 1] > -0.1)),
    "face_and_forehead": tuple(canonical_mesh().oval.tolist()),
    "inner": (*BROWS, *NOSE, *OUTER_LIPS),
    "lower": (*OVAL_FROM_NOSE_DOWN, *NOSE[3:-3]),
    "upper": (*OVAL_ABOVE_NOSE, *NOSE),
    "half": tuple(canonical_mesh().oval.tolist()),
    "random": tuple(range(MESH_POINTS)),
    "eyes": (*BROWS, *RIGHT_EYE, *LEFT_EYE),
    "nose": NOSE,
    "mouth": OUTER_LIPS,
}
"""Mesh points whose hull is a region."""
REGION_GROUPS: dict[Region, tuple[str, ...]] = {
    "face": ("jaw", "right_brow", "left_brow"),
    "face_and_forehead": ("jaw", "hairline"),
    "inner": ("right_brow", "left_brow", "mouth", "nose"),
    "lower": ("jaw", "nose"),
    "upper": ("right_brow", "left_brow", "hairline", "nose"),
    "half": ("jaw", "hairline"),
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
    "lower": 0.12,
    "upper": 0.04,
    "half": 0.04,
    "random": 0.1,
}
# Reenactment by neural textures repaints the mouth; retouching and gaze correction, the eyes.
FEATURE_SHARES: Mapping[Region, float] = {"mouth": 0.4, "eyes": 0.35, "nose": 0.25}
RANDOM_REGION_POINTS = 9
BLEND_RATIOS = (0.5, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
"""Opacity of the forged face, after Shiohara & Yamasaki (CVPR 2022), section 3.2, with full opacity, which real
swaps have, more often."""


def draw_mask(
    geometry: FaceGeometry,
    height: int,
    width: int,
    rng: Generator,
    regions: Mapping[Region, float] = WHOLE_FACE_SHARES,
) -> Mask:
    """Draws a soft, deformed mask over a face.

    A region is the hull of some of the mesh's points or, where there is no mesh, of the mean face placed on the
    landmarks and bent by random modes. The hull is deformed elastically, blurred, eroded or widened, and faded.

    Args:
        geometry: The face, in pixels of the image.
        height: Height of the image in pixels.
        width: Width of the image in pixels.
        rng: Source of all randomness.
        regions: What may be replaced, and how often each.

    Returns:
        height x width, float32, 0 (kept) to 1 (replaced).
    """
    bends = rng.normal(0, 1, len(MODES))
    region: Region = rng.choice(list(regions), p=list(regions.values()))
    if geometry.mesh is None:
        points = place_mean_face(geometry.landmarks, bends)
        face_px = float(np.ptp(points[GROUPS["jaw"], 0]))
        chosen = _points_of_mean_face(points, region, geometry.landmarks, rng)
    else:
        mesh = geometry.mesh[:, :2].astype(np.float64)
        face_px = float(np.ptp(mesh[canonical_mesh().oval, 0]))
        chosen = _points_of_mesh(mesh, region, rng)
    mask = np.zeros((height, width), np.float32)
    polygon = cv2.convexHull(chosen.astype(np.float32))
    cv2.fillConvexPoly(mask, polygon.round().astype(np.int32), 1.0, cv2.LINE_AA)
    mask = _deform(mask, face_px, rng)
    mask = _soften(mask, face_px, rng)
    return mask * np.float32(rng.choice(BLEND_RATIOS))


def as_mask(array: MatLike) -> Mask:
    """Casts OpenCV's MatLike to a float32 array for mypy."""
    return np.asarray(array, dtype=np.float32)


def _points_of_mesh(mesh: NDArray[np.float64], region: Region, rng: Generator) -> NDArray[np.float64]:
    chosen = np.array(REGION_POINTS[region])
    if region == "random":
        chosen = rng.choice(chosen, RANDOM_REGION_POINTS, replace=False)
    elif region == "half":
        side = canonical_mesh().points[chosen, 0] * rng.choice((-1, 1))
        chosen = chosen[side >= 0]
    points: NDArray[np.float64] = mesh[chosen]
    return _with_surround(points, rng) if region in ("eyes", "nose", "mouth") else points


def _points_of_mean_face(
    points: NDArray[np.float64], region: Region, landmarks: NDArray[np.float64], rng: Generator
) -> NDArray[np.float64]:
    chosen: NDArray[np.float64] = np.concatenate([points[GROUPS[group]] for group in REGION_GROUPS[region]])
    if region == "random":
        chosen = rng.choice(chosen, RANDOM_REGION_POINTS, replace=False)
    elif region == "half":
        down = landmarks[3:].mean(axis=0) - landmarks[:2].mean(axis=0)
        side = (chosen - landmarks[2]) @ (-down[1], down[0])
        chosen = chosen[side * rng.choice((-1, 1)) >= 0]
    elif region == "eyes":
        # From the brows to as far below the eyes.
        below = np.repeat(landmarks[:2], len(chosen) // 2, axis=0) * 2 - chosen
        chosen = np.concatenate((chosen, below))
    return _with_surround(chosen, rng) if region in ("nose", "mouth") else chosen


def _with_surround(points: NDArray[np.float64], rng: Generator) -> NDArray[np.float64]:
    """What surrounds a feature moves with it."""
    centre = points.mean(axis=0)
    return np.asarray(centre + (points - centre) * rng.uniform(1.2, 1.8))


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
        # Relative to the peak: a wide blur leaves nothing of a mouth above .5.
        mask = (mask > rng.uniform(0.2, 0.8) * mask.max()).astype(np.float32)
    mask = _blur(mask, face_px * rng.uniform(0.005, 0.08))
    return mask / np.float32(max(float(mask.max()), 0.05))


def _blur(mask: Mask, sigma_px: float) -> Mask:
    # Two box filters approach a Gaussian at a cost that does not grow with its width.
    side = max(1, round(sigma_px * 1.7)) * 2 + 1
    return np.asarray(cv2.blur(cv2.blur(mask, (side, side)), (side, side)), dtype=np.float32)
