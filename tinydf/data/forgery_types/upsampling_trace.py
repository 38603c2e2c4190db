"""Upsampling traces: the periodic pattern that a generator's transposed convolutions leave in a face.

After Odena et al., "Deconvolution and Checkerboard Artifacts" (Distill 2016) and Zhang et al., "Detecting and
Simulating Artifacts in GAN Fake Images" (WIFS 2019): zeros are put between pixels and filled by a kernel that does not
fit exactly.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

from tinydf.data.forgery_types.blending import blend
from tinydf.data.geometry import FaceGeometry
from tinydf.data.masks import Mask, draw_mask
from tinydf.data.photometry import as_image
from tinydf_runtime.types import Image

BILINEAR = np.outer((0.25, 0.75, 0.75, 0.25), (0.25, 0.75, 0.75, 0.25))
"""The 4 x 4 kernel of a transposed convolution of stride 2 that enlarges without a trace."""


def leave_upsampling_trace(
    image: Image, geometry: FaceGeometry, rng: Generator, coarseness: float = 0.0
) -> tuple[Image, Mask]:
    """Halves the face and enlarges it by an imperfect kernel; arguments and results as ``blending.Forger``."""
    height, width = image.shape[:2]
    # The pattern's period in the picture is that of the generator, enlarged or shrunk with its face.
    scale = rng.uniform(0.6, 1.3)
    half = (max(16, round(width * scale / 2)), max(16, round(height * scale / 2)))
    small = cv2.resize(image, half, interpolation=cv2.INTER_AREA)
    generated = _enlarge_twice(as_image(small), rng, strength=rng.uniform(0.04, 0.15) * (1 + coarseness))
    # A generator's face is mostly as detailed as the photo: only some of what shrinking lost stays lost.
    enlarged = cv2.resize(generated, (width, height), interpolation=cv2.INTER_LINEAR)
    source = as_image(cv2.addWeighted(enlarged, 1.0 - (keep := rng.uniform(0, 0.4)), image, keep, 0))
    mask = draw_mask(geometry, height, width, rng)
    return blend(source, image, mask), mask


def _enlarge_twice(image: Image, rng: Generator, strength: float) -> Image:
    """Enlarges by zero insertion and an uneven kernel; ``strength`` is how uneven."""
    height, width = image.shape[:2]
    sparse = np.zeros((2 * height, 2 * width, 3), np.float32)
    sparse[::2, ::2] = image
    kernel = (BILINEAR * (1 + rng.normal(0, strength, BILINEAR.shape))).astype(np.float32)
    # Mean brightness is kept, the four phases of the kernel differ: that is the checkerboard.
    kernel *= np.float32(4 / kernel.sum())
    filled = cv2.filter2D(sparse, -1, kernel, anchor=(2, 2), borderType=cv2.BORDER_REFLECT_101)
    return as_image(np.clip(filled, 0, 255))
