"""Draws the texture of one mesh in the shape of another, triangle by triangle."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tinydf.data.face_mesh import Mesh
from tinydf.data.masks import Mask
from tinydf_runtime.types import Image

FRACTION_BITS = 4
LEAST_AREA_PX = 0.1
"""Twice the area below which a triangle is seen from its edge and is not drawn."""


def render(
    texture: Image,
    texture_mesh: Mesh,
    target_mesh: Mesh,
    triangles: NDArray[np.int16],
    onto: Image,
    interpolation: int = cv2.INTER_LINEAR,
) -> tuple[Image, Mask]:
    """Draws a texture in the shape of the target, each triangle by its own affine map, the nearest ones on top.

    Args:
        texture: H x W x 3, uint8.
        texture_mesh: Of the face in ``texture``.
        target_mesh: Of the face in ``onto``.
        triangles: T x 3, clockwise as seen from the front.
        onto: What is drawn on, h x w x 3, uint8; stays as it is.
        interpolation: OpenCV's number.

    Returns:
        h x w x 3, uint8, and where something was drawn: h x w, float32, 0 or 1.
    """
    height, width = onto.shape[:2]
    owner, drawn = _owners(target_mesh, triangles, height, width)
    left, top, box_width, box_height = cv2.boundingRect((owner >= 0).astype(np.uint8))
    if not box_width:
        return onto, np.zeros((height, width), np.float32)
    box = np.s_[top : top + box_height, left : left + box_width]
    of_pixel = np.maximum(owner[box], 0)
    x = np.arange(left, left + box_width, dtype=np.float32)
    y = np.arange(top, top + box_height, dtype=np.float32)[:, None]
    map_x, map_y = (
        a[of_pixel] * x + b[of_pixel] * y + c[of_pixel] for a, b, c in _inverse_maps(texture_mesh, target_mesh, drawn)
    )
    sampled = cv2.remap(texture, map_x, map_y, interpolation, borderMode=cv2.BORDER_REPLICATE)
    picture = onto.copy()
    cv2.copyTo(sampled, (owner[box] >= 0).astype(np.uint8), picture[box])
    return picture, (owner >= 0).astype(np.float32)


def _owners(
    mesh: Mesh, triangles: NDArray[np.int16], height: int, width: int
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Returns which triangle is seen at each pixel, -1 for none, and the triangles it counts by."""
    corners = mesh[triangles]
    edge, other = corners[:, 1, :2] - corners[:, 0, :2], corners[:, 2, :2] - corners[:, 0, :2]
    area = edge[:, 0] * other[:, 1] - edge[:, 1] * other[:, 0]
    order = np.flatnonzero(np.abs(area) > LEAST_AREA_PX)
    # What faces away comes first, so that it shows only where a fit has folded and left a hole.
    order = order[np.lexsort((-corners[order, :, 2].sum(axis=1), area[order] > 0))]
    owner = np.full((height, width), -1, np.int16)
    for number, corner in enumerate((corners[order, :, :2] * (1 << FRACTION_BITS)).round().astype(np.int32)):
        cv2.fillConvexPoly(owner, corner, number, cv2.LINE_8, FRACTION_BITS)
    return owner, triangles[order]


def _inverse_maps(texture: Mesh, target: Mesh, triangles: NDArray[np.int16]) -> NDArray[np.float32]:
    """Returns 2 x 3 x T: the affine maps that bring a pixel of a target triangle to its place in the texture."""
    placed = np.ones((len(triangles), 3, 3))
    placed[..., :2] = target[triangles, :2]
    solved = np.linalg.solve(placed, texture[triangles, :2].astype(np.float64))
    return np.ascontiguousarray(solved.transpose(2, 1, 0), dtype=np.float32)
