"""Low-resolution decoder imitation: the face as a 48 to 160 px decoder would rebuild it, pasted back.

Face swaps generate a small face and enlarge it. The generated face loses detail and grain, its features shift slightly,
and the colour transfer that follows is never exact.
"""

from __future__ import annotations

import cv2
from numpy.random import Generator

from tinydf.data import photometry
from tinydf.data.forgery_types.blending import blend_as_tools_do, face_width
from tinydf.data.forgery_types.self_blend import warp_source
from tinydf.data.geometry import FaceGeometry
from tinydf.data.masks import Mask, draw_mask
from tinydf.data.photometry import as_image
from tinydf_runtime.types import Image

DECODER_PX = (48, 160)


def imitate_decoder(
    image: Image, geometry: FaceGeometry, rng: Generator, coarseness: float = 0.0
) -> tuple[Image, Mask]:
    """Shrinks, smooths and enlarges the face; arguments and results as ``blending.Forger``."""
    height, width = image.shape[:2]
    source = warp_source(image, geometry, rng) if rng.random() < 0.5 else image
    if rng.random() < 0.5:
        source = photometry.shift_colour(source, rng, rng.uniform(0.1, 0.4))
    scale = min(0.8, rng.uniform(*DECODER_PX) / face_width(geometry)) * (1 - 0.3 * coarseness)
    small = cv2.resize(source, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    # A decoder paints smooth skin and firm edges, as a bilateral filter does.
    smooth = cv2.bilateralFilter(small, 5, rng.uniform(8, 25), 2)
    rebuilt = as_image(cv2.resize(smooth, (width, height), interpolation=photometry.INTERPOLATIONS[rng.integers(2)]))
    if rng.random() < 0.3:
        rebuilt = photometry.sharpen(rebuilt, rng.uniform(0.3, 1.0))
    mask = draw_mask(geometry, height, width, rng)
    return blend_as_tools_do(rebuilt, image, mask, rng)
