"""What all forgery types share: the signature of a forger, and the blends at its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import cv2
import numpy as np
from numpy.random import Generator

from tinydf.data.geometry import FaceGeometry
from tinydf.data.masks import Mask
from tinydf.data.photometry import as_image
from tinydf_runtime.types import Image

Forger: TypeAlias = Callable[[Image, FaceGeometry, Generator, float], tuple[Image, Mask]]
"""``forge(image, geometry, rng, coarseness)``: H x W x 3 BGR uint8 and the face's shape in its pixels -> the forged
image and the mask of what was replaced, H x W, float32, 0..1. ``coarseness`` is 0 for forgeries as subtle as good ones
are, up to 1 for coarse ones, which the curriculum begins with; a type may ignore it."""

POISSON_SHARE = 0.15
"""Share of face swaps blended in the gradient domain (Poisson); the others are alpha-blended."""
MOST_TINT = 16.0
"""Mean colour shift of a face, in levels, above which a Poisson blend counts as failed: hair or background under the
seam bled in."""
LEAST_SIDE_PX = 8


def blend(source: Image, target: Image, mask: Mask) -> Image:
    """Returns the alpha blend of two H x W x 3 pictures: source where the mask (H x W) is 1, target where it is 0."""
    return as_image(cv2.blendLinear(source, target, mask, 1 - mask))


def blend_as_tools_do(source: Image, target: Image, mask: Mask, rng: Generator) -> tuple[Image, Mask]:
    """Returns the blend of a whole face, alpha or Poisson at random, and H x W, 0..1: the mask of what it replaced."""
    if rng.random() < POISSON_SHARE and (cloned := blend_gradients(source, target, mask)) is not None:
        return cloned
    return blend(source, target, mask), mask


def blend_gradients(source: Image, target: Image, mask: Mask) -> tuple[Image, Mask] | None:
    """Blends so that the source's gradients meet the target's colours at the seam.

    After Perez et al., "Poisson Image Editing" (SIGGRAPH 2003), by OpenCV's ``seamlessClone``.

    Returns:
        The blend and its mask, 0 or 1; None where the mask touches the border or is too small for a seam, or where the
        colours under the seam tint the whole face.
    """
    inside = (mask > 0.5 * mask.max()).astype(np.uint8)
    left, top, width, height = cv2.boundingRect(inside)
    rows, columns = inside.shape
    # The solver wants a known pixel on every side, and centres the mask's bounding box on the point that it is given.
    if min(width, height) < LEAST_SIDE_PX or min(left, top, columns - left - width, rows - top - height) < 2:
        return None
    centre = (left + width // 2, top + height // 2)
    cloned = as_image(cv2.seamlessClone(source, target, inside * np.uint8(255), centre, cv2.NORMAL_CLONE))
    tint = cv2.mean(cloned, inside)[:3], cv2.mean(target, inside)[:3]
    if np.abs(np.subtract(*tint)).max() > MOST_TINT:
        return None
    # What changed beyond the mask is the solver's rounding.
    return as_image(np.where(inside[..., None] > 0, cloned, target)), inside.astype(np.float32)


def face_width(geometry: FaceGeometry) -> float:
    """Returns the width of a face in pixels, from ear to ear, estimated from the distance of its eyes."""
    return 2.2 * float(np.linalg.norm(geometry.landmarks[1] - geometry.landmarks[0]))
