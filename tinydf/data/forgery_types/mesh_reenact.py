"""Mesh Face2Face: a face warped to another one's expression and re-rendered from a coarse texture of itself.

After what Thies et al., "Face2Face: Real-Time Face Capture and Reenactment of RGB Videos" (CVPR 2016) does: the
expression alone is transferred, the inside of the mouth comes from a picture of the wanted expression, and the drawn
face covers the filmed one with a sharp edge.
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tinydf.data import photometry
from tinydf.data.face_mesh import (
    INNER_LIPS,
    LEFT_BROW,
    LEFT_EYE,
    MOUTH_CORNERS,
    NOSE_BASE,
    OUTER_LIPS,
    RIGHT_BROW,
    RIGHT_EYE,
    Mesh,
    canonical_mesh,
)
from tinydf.data.forgery_types.blending import blend
from tinydf.data.forgery_types.mesh_swap import face_below_forehead_line
from tinydf.data.geometry import FaceGeometry, measure_pose
from tinydf.data.masks import Mask, as_mask
from tinydf.data.mesh_donors import PosedDonors, mean_skin, shrink_texture
from tinydf.data.mesh_render import render
from tinydf.data.photometry import INTERPOLATIONS, as_image
from tinydf_runtime.types import Image

ALBEDO_PX = (88, 240)
"""Widths of the face that the texture is kept at."""
CHIN = (152, 148, 377, 176, 400, 175, 199)
UPPER_INNER_LIP, LOWER_INNER_LIP = 13, 14
LIPS = OUTER_LIPS + INNER_LIPS
BROWS_AND_LIDS = RIGHT_BROW + LEFT_BROW + RIGHT_EYE + LEFT_EYE
REACH_UNITS = 0.22
"""How far skin follows lips, lids and brows, in distances of the irises."""
OPEN_UNITS = 0.03
"""Height between the lips from which a mouth shows its inside."""


class MeshReenact:
    """Forges a face from itself and somebody else's expression."""

    def __init__(self, donors: PosedDonors) -> None:
        self._donors = donors

    def __call__(
        self, image: Image, geometry: FaceGeometry, rng: Generator, coarseness: float = 0.0
    ) -> tuple[Image, Mask]:
        """Gives the face a donor's expression, drawn in its own texture, which ``coarseness`` coarsens.

        Without a mesh, on the mean face. Arguments and results as ``blending.Forger``.
        """
        height, width = image.shape[:2]
        own = geometry.nearest_mesh()
        donor_image, donor = self._donors.draw(image, own, rng)
        wanted = bend_to_expression(own, donor, rng.uniform(0.6, 1.1))
        face_px = rng.uniform(*ALBEDO_PX) * (1 - 0.4 * coarseness)
        texture, texture_mesh = shrink_texture(_simplify(image, rng), own, face_px)
        triangles, interpolation = canonical_mesh().triangles, INTERPOLATIONS[rng.integers(2)]
        drawn, covered = render(texture, texture_mesh, wanted, triangles, image, interpolation)
        if _opening(measure_pose(wanted).turned_to_camera(wanted)) > OPEN_UNITS:
            drawn = _fill_mouth(drawn, donor_image, donor, wanted)
        covered *= face_below_forehead_line(wanted, height, width, rng)
        mask = as_mask(cv2.GaussianBlur(covered, (0, 0), rng.uniform(0.4, 2.5)))
        return blend(drawn, image, mask), mask


def bend_to_expression(own: Mesh, donor: Mesh, strength: float) -> Mesh:
    """Returns a mesh with its own pose and features, and another one's lips, lids, brows and chin.

    Offsets are taken with both faces turned to the camera, relative to what an expression leaves in place: the nose's
    base for the lips, the eyes for lids and brows. The skin between follows smoothly.
    """
    pose = measure_pose(own)
    start, goal = pose.turned_to_camera(own), measure_pose(donor).turned_to_camera(donor)
    moves = np.zeros_like(start)
    moves[list(LIPS)] = _relative(goal, LIPS, (NOSE_BASE,)) - _relative(start, LIPS, (NOSE_BASE,))
    for brow, eye in ((RIGHT_BROW, RIGHT_EYE), (LEFT_BROW, LEFT_EYE)):
        for ring in (brow, eye):
            moves[list(ring)] = _relative(goal, ring, eye) - _relative(start, ring, eye)
    # How wide, deep and low a mouth is belongs to the person; how open and curved, to the expression.
    moves[list(LIPS)] -= moves[list(MOUTH_CORNERS)].mean(axis=0) * 0.7
    moves[list(CHIN), 1] = 0.7 * (_opening(goal) - _opening(start))
    moves[:, 2] *= 0.5
    return pose.turned_back(start + strength * _spread() @ moves)


def _relative(points: NDArray[np.float64], chosen: tuple[int, ...], anchors: tuple[int, ...]) -> NDArray[np.float64]:
    return np.asarray(points[list(chosen)] - points[list(anchors)].mean(axis=0))


def _opening(points: NDArray[np.float64]) -> float:
    return float(points[LOWER_INNER_LIP, 1] - points[UPPER_INNER_LIP, 1])


@cache
def _spread() -> NDArray[np.float64]:
    """Returns 478 x 478: how much each point follows the moving ones, which follow themselves alone."""
    points = canonical_mesh().points[:, :2].astype(np.float64)
    moving = np.array(sorted({*LIPS, *BROWS_AND_LIDS, *CHIN}))
    nearness = np.exp(-((np.linalg.norm(points[:, None] - points[None, moving], axis=2) / REACH_UNITS) ** 2))
    weights = np.zeros((len(points), len(points)))
    # The constant leaves points alone that are far from all that moves.
    weights[:, moving] = nearness / (nearness.sum(axis=1, keepdims=True) + 0.3)
    weights[moving] = 0
    weights[moving, moving] = 1
    return weights


def _simplify(image: Image, rng: Generator) -> Image:
    """Takes pores and a part of the light away, as a fitted albedo lacks them."""
    smooth = as_image(cv2.bilateralFilter(image, 5, rng.uniform(6, 22), 2))
    return photometry.shift_colour(smooth, rng, rng.uniform(0, 0.2))


def _fill_mouth(drawn: Image, donor_image: Image, donor: Mesh, wanted: Mesh) -> Image:
    """Returns the face with the donor's teeth and tongue between its lips."""
    inner, mouth = render(donor_image, donor, wanted, canonical_mesh().mouth, drawn)
    lit = as_image(cv2.add(inner, np.subtract(mean_skin(drawn, wanted), mean_skin(donor_image, donor))))
    return blend(lit, drawn, as_mask(cv2.GaussianBlur(mouth, (0, 0), 0.8)))
