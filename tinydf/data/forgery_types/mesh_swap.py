"""Mesh FaceSwap: another person's face drawn in the shape of this one.

After what the FaceSwap of FaceForensics++ does (github.com/MarekKowalski/FaceSwap): the texture of one photo is drawn
on a mesh fitted to the target, each channel's mean is matched, and the edge fades linearly over a fifth of the face.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

from tinydf.data.face_mesh import LEFT_BROW, RIGHT_BROW, Mesh, canonical_mesh
from tinydf.data.forgery_types.blending import blend_as_tools_do
from tinydf.data.geometry import FaceGeometry
from tinydf.data.masks import Mask, as_mask
from tinydf.data.mesh_donors import PosedDonors, shrink_texture
from tinydf.data.mesh_render import render
from tinydf.data.photometry import INTERPOLATIONS, as_image
from tinydf_runtime.types import Image

TEXTURE_PX = (64, 256)
"""Widths of a face that a swap paints."""
FEATHER = (0.03, 0.22)
"""Width of the fading edge as a share of the face's longer side; FaceSwap's is .2."""
MISFIT = 0.012
"""Standard deviation of a tracker's error, as a share of the face's width."""
WHOLE_FOREHEAD_SHARE = 0.35


class MeshSwap:
    """Forges a face from those of other people."""

    def __init__(self, donors: PosedDonors) -> None:
        self._donors = donors

    def __call__(
        self, image: Image, geometry: FaceGeometry, rng: Generator, coarseness: float = 0.0
    ) -> tuple[Image, Mask]:
        """Draws a donor's face over the mesh, with an edge that ``coarseness`` sharpens.

        Without a mesh, over the mean face. Arguments and results as ``blending.Forger``.
        """
        height, width = image.shape[:2]
        target = misfit(geometry.nearest_mesh(), rng)
        texture, texture_mesh = self._donors.draw(image, target, rng)
        texture, texture_mesh = shrink_texture(texture, texture_mesh, rng.uniform(*TEXTURE_PX))
        triangles, interpolation = canonical_mesh().triangles, INTERPOLATIONS[rng.integers(2)]
        drawn, covered = render(texture, texture_mesh, target, triangles, image, interpolation)
        covered *= face_below_forehead_line(target, height, width, rng)
        feathered = fade(covered, rng.uniform(*FEATHER) * (1 - 0.6 * coarseness))
        return blend_as_tools_do(match_means(drawn, image, covered), image, feathered, rng)


def misfit(mesh: Mesh, rng: Generator) -> Mesh:
    """Returns a 478 x 3 mesh as another tracker might have fitted it: moved, scaled and bent a little."""
    canonical = canonical_mesh().points[:, :2]
    face_px = float(np.ptp(mesh[:, 0]))
    across, down = rng.normal(0, 1, (2, 2)), rng.normal(0, 1, (2, 2))
    waves = np.sin(canonical @ across * 2) @ down * 0.7 + rng.normal(0, 0.7, 2)
    moved = mesh.copy()
    moved[:, :2] += (waves * MISFIT * face_px).astype(np.float32)
    return moved


def face_below_forehead_line(mesh: Mesh, height: int, width: int, rng: Generator) -> Mask:
    """Returns height x width, 1 inside the face's outline, whose forehead ends at random between brows and hairline."""
    oval = canonical_mesh().oval
    outline = mesh[oval, :2].copy()
    if rng.random() > WHOLE_FOREHEAD_SHARE:
        brows = mesh[list(RIGHT_BROW + LEFT_BROW), :2]
        # Each point of the forehead comes down towards the brow next to it.
        above = canonical_mesh().points[oval, 1] < -0.2
        nearest = np.linalg.norm(outline[above, None] - brows[None], axis=2).argmin(axis=1)
        share = np.float32(rng.uniform(0.15, 0.9))
        outline[above] = brows[nearest] * (1 - share) + outline[above] * share
    mask = np.zeros((height, width), np.float32)
    cv2.fillConvexPoly(mask, cv2.convexHull((outline * 16).round().astype(np.int32)), 1.0, cv2.LINE_8, 4)
    return mask


def fade(covered: Mask, share: float) -> Mask:
    """Returns H x W, 0..1: a mask that rises linearly inwards from its edge, over a share of its longer side."""
    _, _, width, height = cv2.boundingRect((covered > 0).astype(np.uint8))
    # Zeros around it, so that a mask that reaches the border fades there too.
    padded = cv2.copyMakeBorder((covered > 0).astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    inwards = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1]
    return as_mask(np.minimum(inwards / np.float32(max(1.0, share * max(width, height))), np.float32(1)))


def match_means(source: Image, target: Image, mask: Mask) -> Image:
    """Returns the source, H x W x 3, with each BGR channel shifted to the target's mean inside the mask, H x W."""
    inside = (mask > 0).astype(np.uint8)
    shift = np.subtract(cv2.mean(target, inside), cv2.mean(source, inside))
    return as_image(cv2.add(source, shift))
