"""Face warping artefacts: the face region is brought to a fixed size, smoothed and warped back.

After Li & Lyu, "Exposing DeepFake Videos By Detecting Face Warping Artifacts" (CVPR Workshops 2019), section 3.1.
Colours and the surround's grain stay: the only trace is that the face was interpolated twice.
"""

from __future__ import annotations

import cv2
from numpy.random import Generator

from tinydf.data.forgery_types.blending import blend, face_width
from tinydf.data.geometry import FaceGeometry
from tinydf.data.masks import Mask, draw_mask
from tinydf.data.photometry import INTERPOLATIONS, as_image, blur
from tinydf_runtime.types import Image

ALIGNED_PX = (64, 256)
"""Sides of the squares that face swaps align their faces to."""
MOST_TURN_DEGREES = 20


def face_warp(image: Image, geometry: FaceGeometry, rng: Generator, coarseness: float = 0.0) -> tuple[Image, Mask]:
    """Resamples the face through a small aligned square; arguments and results as ``blending.Forger``."""
    height, width = image.shape[:2]
    face_px = face_width(geometry)
    scale = min(1.0, rng.uniform(*ALIGNED_PX) / (1.4 * face_px)) * (1 - 0.3 * coarseness)
    centre_x, centre_y = geometry.landmarks.mean(axis=0)
    turn = rng.uniform(-MOST_TURN_DEGREES, MOST_TURN_DEGREES)
    there = cv2.getRotationMatrix2D((float(centre_x), float(centre_y)), turn, scale)
    there[:, 2] = there[:, 2] + rng.uniform(0, 1, 2)
    enlarge = INTERPOLATIONS[rng.integers(2)]
    aligned = cv2.warpAffine(image, there, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    smoothed = blur(as_image(aligned), rng.uniform(0.3, 0.9) * (1 + coarseness))
    back = cv2.warpAffine(
        smoothed, cv2.invertAffineTransform(there), (width, height), flags=enlarge, borderMode=cv2.BORDER_REFLECT_101
    )
    mask = draw_mask(geometry, height, width, rng)
    return blend(as_image(back), image, mask), mask
