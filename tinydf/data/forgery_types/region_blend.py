"""Region blends: only eyes, nose or mouth are replaced, as reenactment and retouching do.

The whole-face blend of ``self_blend`` teaches a boundary around the face; here it lies inside.
"""

from __future__ import annotations

from numpy.random import Generator

from tinydf.data.forgery_types.self_blend import self_blend
from tinydf.data.geometry import FaceGeometry
from tinydf.data.masks import FEATURE_SHARES, Mask
from tinydf_runtime.types import Image


def region_blend(image: Image, geometry: FaceGeometry, rng: Generator, coarseness: float = 0.0) -> tuple[Image, Mask]:
    """Self-blends eyes, nose or mouth alone; arguments and results as ``blending.Forger``."""
    return self_blend(image, geometry, rng, coarseness, FEATURE_SHARES)
