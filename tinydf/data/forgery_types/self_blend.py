"""Self-blended images: a real photo blended with a changed copy of itself.

Written from the paper: Shiohara & Yamasaki, "Detecting Deepfakes with Self-Blended Images" (CVPR 2022). A network that
tells them from the photo has learned blending artefacts, not the artefacts of one generator.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.random import Generator

from tinydf.data import photometry
from tinydf.data.forgery_types.blending import blend, face_width
from tinydf.data.geometry import FaceGeometry
from tinydf.data.masks import WHOLE_FACE_SHARES, Mask, Region, draw_mask
from tinydf.data.photometry import as_image
from tinydf_runtime.types import Image

MIN_DIFFERENCE = 1.5
"""Least mean change inside the mask, in levels: below it there is no trace to learn."""
MAX_TRIES = 4


def self_blend(
    image: Image,
    geometry: FaceGeometry,
    rng: Generator,
    coarseness: float = 0.0,
    regions: Mapping[Region, float] = WHOLE_FACE_SHARES,
) -> tuple[Image, Mask]:
    """Forges a face from itself.

    Args:
        image: H x W x 3, BGR, uint8.
        geometry: Of the face, in pixels of the image.
        rng: Source of all randomness.
        coarseness: 0 for forgeries as subtle as good ones are; up to 1 for coarse ones, to learn from first.
        regions: What may be replaced, and how often each.

    Returns:
        The forged image, and the mask of what was replaced: H x W, float32, 0..1.
    """
    for _ in range(MAX_TRIES):
        mask = draw_mask(geometry, image.shape[0], image.shape[1], rng, regions)
        if coarseness > rng.random():
            mask = mask / np.float32(max(float(mask.max()), 1e-6))
        source, target = change_one_side(image, rng, coarseness)
        forged = blend(warp_source(source, geometry, rng), target, mask)
        difference = cv2.absdiff(forged, image).mean(axis=2)
        if float((difference * mask).sum()) > MIN_DIFFERENCE * float(mask.sum()) * (1 + 2 * coarseness):
            break
    return forged, mask


def change_one_side(image: Image, rng: Generator, coarseness: float = 0.0) -> tuple[Image, Image]:
    """Returns a source (the face to paste) and a target (the picture around it), of which one has been changed."""
    changed = change_look(image, rng, coarseness)
    # A forged face is softer than its surround more often than the reverse.
    return (changed, image) if rng.random() < 0.7 else (image, changed)


def change_look(image: Image, rng: Generator, coarseness: float = 0.0) -> Image:
    """Changes colour, sharpness or grain, at least one of them."""
    colour, softness = rng.random() < 0.6, rng.random() < 0.75
    if colour or not softness:
        image = photometry.shift_colour(image, rng, rng.uniform(0.2, 0.7) + 0.5 * coarseness)
    if softness:
        image = _change_sharpness(image, rng, coarseness)
    return image


def _change_sharpness(image: Image, rng: Generator, coarseness: float) -> Image:
    kind = rng.random()
    side_px = image.shape[0]
    if kind < 0.45:
        # Down to the 64 to 256 px of a face decoder, whatever the photo's own size.
        return photometry.resample(image, rng.uniform(0.25, 0.85) * (1 - 0.4 * coarseness), rng)
    if kind < 0.65:
        return photometry.blur(image, rng.uniform(0.002, 0.008) * side_px * (1 + coarseness))
    if kind < 0.8:
        return photometry.sharpen(image, rng.uniform(0.3, 1.2) * (1 + coarseness))
    if kind < 0.9:
        return photometry.jpeg(image, int(rng.integers(30, 85)))
    return photometry.add_noise(image, rng.uniform(2, 7) * (1 + coarseness), rng)


def warp_source(image: Image, geometry: FaceGeometry, rng: Generator) -> Image:
    """Shifts, scales, turns and bends the face a little, so that its edges no longer meet those around it."""
    height, width = image.shape[:2]
    face_px = face_width(geometry)
    centre_x, centre_y = geometry.landmarks.mean(axis=0)
    affine = cv2.getRotationMatrix2D((float(centre_x), float(centre_y)), rng.normal(0, 1.5), rng.uniform(0.95, 1.05))
    affine[:, 2] = affine[:, 2] + rng.uniform(-0.03, 0.03, 2) * face_px
    if rng.random() < 0.6:
        return as_image(cv2.warpAffine(image, affine, (width, height), borderMode=cv2.BORDER_REFLECT_101))
    coarse = rng.normal(0, 0.012 * face_px, (4, 4, 2)).astype(np.float32)
    field = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    inverse = cv2.invertAffineTransform(affine).astype(np.float32)
    map_x = inverse[0, 0] * x + inverse[0, 1] * y + inverse[0, 2] + field[..., 0]
    map_y = inverse[1, 0] * x + inverse[1, 1] * y + inverse[1, 2] + field[..., 1]
    return as_image(cv2.remap(image, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101))
