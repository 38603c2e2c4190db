"""Landmarks -> soft masks of what forgeries replace, as ``tinydf/data/masks.py`` draws them, a batch at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from tinydf.data.masks import (
    BLEND_RATIOS,
    FEATURE_SHARES,
    RANDOM_REGION_POINTS,
    REGION_GROUPS,
    WHOLE_FACE_SHARES,
    Region,
)
from tinydf.data.mean_face import FIVE_POINTS, GROUPS, MEAN_POINTS, MODES
from tinydf.data.ondevice.axes import apply_axes, double_box_axis
from tinydf.data.ondevice.faces import Faces
from tinydf.data.ondevice.randomness import Chosen, Numbers, Randomness, change_some, per_sample, to_device
from tinydf.data.ondevice.warps import as_complex, elastic_field, pixel_grid

HULL_DIRECTIONS = 64
"""Half-planes that a hull is made of: a straight side of half a face bulges by 1 % of the face at most."""
DIRECTIONS_AT_ONCE = 8
DISTANCE_SCALE = 2
"""Distances to the hull are smooth: they are computed for every second pixel and interpolated."""
FIELD_CELLS = 6
IDENTITY = np.array(((1.0, 0, 0), (0, 1, 0)))


def draw_masks(faces: Faces, features_only: Chosen, rng: Randomness) -> Tensor:
    """Draws a soft, deformed mask over each face.

    Args:
        faces: N faces.
        features_only: N: whether eyes, nose or mouth alone are replaced.
        rng: Source of all randomness.

    Returns:
        N x 1 x S x S, float32, 0 (kept) to 1 (replaced).
    """
    points = place_mean_faces(faces.landmarks, rng.choices.normal(0, 1, (len(faces), len(MODES))))
    face_px = np.ptp(points[:, GROUPS["jaw"], 0], axis=1)
    hulls = _draw_hulls(points, faces.landmarks, features_only, rng)
    masks = _fill_deformed(hulls, faces, face_px, rng)
    masks = _soften(masks, face_px, rng)
    return masks * per_sample(rng.choices.choice(BLEND_RATIOS, len(faces)), masks)


def place_mean_faces(landmarks: Numbers, mode_weights: Numbers) -> Numbers:
    """Lays bent mean faces over N real ones: ``mean_face.place_mean_face`` for N x 5 x 2 points, giving N x P x 2."""
    canonical, observed = as_complex(FIVE_POINTS), as_complex(landmarks)
    centred = canonical - canonical.mean()
    factor = (observed * centred.conj()).sum(-1) / (np.abs(centred) ** 2).sum()
    bent = as_complex(MEAN_POINTS + np.tensordot(mode_weights, MODES, axes=1))
    placed = (bent - canonical.mean()) * factor[:, None] + observed.mean(-1, keepdims=True)
    return np.stack((placed.real, placed.imag), axis=-1)


def _draw_hulls(points: Numbers, landmarks: Numbers, features_only: Chosen, rng: Randomness) -> Numbers:
    """Returns N x K: how far the hull of each face's drawn region reaches in each direction."""
    count = len(points)
    regions = np.where(features_only, _draw(FEATURE_SHARES, count, rng), _draw(WHOLE_FACE_SHARES, count, rng))
    angles = 2 * math.pi / HULL_DIRECTIONS * np.arange(HULL_DIRECTIONS)
    directions = np.stack((np.cos(angles), np.sin(angles)))
    reach = np.empty((count, HULL_DIRECTIONS))
    # What surrounds a feature moves with it.
    widened = rng.choices.uniform(1.2, 1.8, (count, 1, 1))
    orders = rng.choices.random((count, len(MEAN_POINTS)))
    for region, groups in REGION_GROUPS.items():
        own = regions == region
        chosen = np.concatenate([points[own, GROUPS[group]] for group in groups], axis=1)
        if region == "random":
            kept = np.argsort(orders[own], axis=1)[:, :RANDOM_REGION_POINTS, None]
            chosen = np.take_along_axis(chosen, kept, axis=1)
        elif region == "eyes":
            # From the brows to as far below the eyes.
            below = np.repeat(landmarks[own, :2], chosen.shape[1] // 2, axis=1) * 2 - chosen
            chosen = np.concatenate((chosen, below), axis=1)
        elif region in ("nose", "mouth"):
            middle = chosen.mean(axis=1, keepdims=True)
            chosen = middle + (chosen - middle) * widened[own]
        reach[own] = (chosen @ directions).max(axis=1)
    return reach


def _draw(shares: Mapping[Region, float], count: int, rng: Randomness) -> NDArray[np.str_]:
    return np.asarray(rng.choices.choice(list(shares), count, p=list(shares.values())), dtype=np.str_)


def _fill_deformed(reach: Numbers, faces: Faces, face_px: Numbers, rng: Randomness) -> Tensor:
    """Fills hulls whose outlines are bent by a coarse random displacement field."""
    count, side, device = len(faces), faces.images.shape[-1], faces.images.device
    strength = (face_px * rng.choices.uniform(0, 0.05, count))[:, None, None, None]
    coarse = rng.choices.normal(0, 1, (count, 2, FIELD_CELLS, FIELD_CELLS)) * strength
    field = elastic_field(coarse, faces.boxes_xyxy.reshape(-1, 2, 2).mean(axis=1), faces.surrounds_px(), side, device)
    places = pixel_grid(np.broadcast_to(IDENTITY, (count, 2, 3)), side, device) + field
    # Edges' coordinates are the same at both scales, which centres' are not.
    grid = ((places + 0.5) * (2 / side) - 1).permute(0, 2, 3, 1)
    distance = _distance(reach, side, device)
    bent = functional.grid_sample(distance, grid, mode="bilinear", padding_mode="border", align_corners=False)
    # A pixel that the outline crosses is filled by the part of it inside.
    return (0.5 - bent).clamp_(0, 1)


def _distance(reach: Numbers, side: int, device: torch.device) -> Tensor:
    """Returns N x 1 x S/2 x S/2: the distance to the hull in pixels, negative inside."""
    small = side // DISTANCE_SCALE
    at = (torch.arange(small, device=device) + 0.5) * DISTANCE_SCALE - 0.5
    limits = to_device(reach, device)
    angles = 2 * math.pi / HULL_DIRECTIONS * np.arange(HULL_DIRECTIONS)
    cosines, sines = to_device(np.stack((np.cos(angles), np.sin(angles))), device)[..., None]
    along_x, along_y = (cosines * at).unsqueeze(1), (sines * at - limits.unsqueeze(-1)).unsqueeze(-1)
    distance = torch.full((len(reach), small, small), -torch.inf, device=device)
    for some in range(0, HULL_DIRECTIONS, DIRECTIONS_AT_ONCE):
        part = slice(some, some + DIRECTIONS_AT_ONCE)
        distance = torch.maximum(distance, (along_x[part] + along_y[:, part]).amax(1))
    return distance.unsqueeze(1)


def _soften(masks: Tensor, face_px: Numbers, rng: Randomness) -> Tensor:
    """Blurs the edge; a threshold in between moves the edge inwards or outwards."""
    count, draw = len(masks), rng.choices.uniform
    sigma, level = face_px * draw(0.02, 0.1, count), draw(0.2, 0.8, count)

    def move_edge(part: Tensor, index: NDArray[np.int64]) -> Tensor:
        blurred = _blur(part, sigma[index])
        # Relative to its peak: of a small region's mask something remains, too.
        return (blurred > per_sample(level[index], blurred) * blurred.amax((2, 3), keepdim=True)).float()

    return _blur(change_some(masks, rng.choices.random(count) < 0.5, move_edge), face_px * draw(0.005, 0.08, count))


def _blur(masks: Tensor, sigma_px: Numbers) -> Tensor:
    axis = double_box_axis(sigma_px, masks.shape[-1], masks.device)
    return apply_axes(masks, axis, axis)
