"""Colour and grain mismatch: the face keeps its shape and sharpness but not its surround's light, noise or codec.

Renderers and decoders produce no sensor noise, and light of their own.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

from tinydf.data import photometry
from tinydf.data.forgery_types.blending import blend
from tinydf.data.geometry import FaceGeometry
from tinydf.data.masks import Mask, draw_mask
from tinydf.data.photometry import as_image
from tinydf_runtime.types import Image


def mismatch_colour_and_grain(
    image: Image, geometry: FaceGeometry, rng: Generator, coarseness: float = 0.0
) -> tuple[Image, Mask]:
    """Blends in the same face with other grain, colours or light; arguments and results as ``blending.Forger``."""
    source = _change_grain(image, rng, coarseness) if rng.random() < 0.6 else image
    if source is image or rng.random() < 0.5:
        source = photometry.shift_colour(source, rng, rng.uniform(0.25, 0.8) + 0.4 * coarseness)
    if rng.random() < 0.3:
        source = _light_from_one_side(source, geometry, rng)
    mask = draw_mask(geometry, image.shape[0], image.shape[1], rng)
    return blend(source, image, mask), mask


def _change_grain(image: Image, rng: Generator, coarseness: float) -> Image:
    kind = rng.random()
    if kind < 0.35:
        return as_image(cv2.medianBlur(image, 3))
    if kind < 0.6:
        return as_image(cv2.bilateralFilter(image, 5, rng.uniform(10, 30), 2))
    if kind < 0.85:
        return photometry.add_noise(image, rng.uniform(2, 6) * (1 + coarseness), rng)
    return photometry.jpeg(image, int(rng.integers(25, 70)))


def _light_from_one_side(image: Image, geometry: FaceGeometry, rng: Generator) -> Image:
    """Brightens one side of the face and darkens the other."""
    height, width = image.shape[:2]
    angle = rng.uniform(0, 2 * np.pi)
    centre_x, centre_y = geometry.landmarks.mean(axis=0)
    along_x = (np.arange(width, dtype=np.float32) - np.float32(centre_x)) / np.float32(width / 2)
    along_y = (np.arange(height, dtype=np.float32) - np.float32(centre_y)) / np.float32(height / 2)
    slope = np.float32(np.cos(angle)) * along_x + np.float32(np.sin(angle)) * along_y[:, None]
    gain = 1 + np.float32(rng.uniform(0.08, 0.3)) * slope
    return as_image(np.clip(image * gain[..., None], 0, 255))
