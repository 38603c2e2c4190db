"""Cross-identity blends: another person's face, warped into place, colour-matched and blended.

After Li et al., "Face X-ray for More General Face Forgery Detection" (CVPR 2020), section 3.2.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tinydf.data.forgery_types.blending import blend_as_tools_do
from tinydf.data.geometry import FaceGeometry
from tinydf.data.masks import Mask, draw_mask
from tinydf.data.photometry import as_image
from tinydf.data.photos import Photo
from tinydf_runtime.io.image import read_image
from tinydf_runtime.types import Image

CANDIDATES = 64
"""Donors that are drawn; the one whose landmarks fit best is taken."""


class CrossIdentity:
    """Forges a face from those of other people."""

    def __init__(self, donors: Sequence[Photo]) -> None:
        """Keeps the donors; a person may be asked to donate to a photo of their own, which is rare and harmless."""
        self._donors = donors
        self._shapes = np.stack([_shape(np.array(photo.faces[0].landmarks)) for photo in donors])

    def __call__(
        self, image: Image, geometry: FaceGeometry, rng: Generator, coarseness: float = 0.0
    ) -> tuple[Image, Mask]:
        """Returns the forged image and its mask, as ``self_blend`` does; ``coarseness`` changes nothing here."""
        candidates = rng.choice(len(self._donors), min(CANDIDATES, len(self._donors)), replace=False)
        distances = np.abs(self._shapes[candidates] - _shape(geometry.landmarks)).sum(axis=1)
        # The very nearest may be the photo itself.
        distances[distances < 1e-3] = np.inf
        donor = self._donors[candidates[distances.argmin()]]
        photo = read_image(donor.path)
        similarity = _similarity(np.array(donor.faces[0].landmarks), geometry.landmarks)
        height, width = image.shape[:2]
        source = as_image(cv2.warpAffine(photo, similarity, (width, height), borderMode=cv2.BORDER_REFLECT_101))
        mask = draw_mask(geometry, height, width, rng)
        return blend_as_tools_do(match_colour(source, image, mask), image, mask, rng)


def match_colour(source: Image, target: Image, mask: Mask) -> Image:
    """Returns the source (BGR) with the target's mean and deviation of each Lab channel inside the mask, H x W.

    Reinhard et al., "Color transfer between images" (IEEE CG&A, 2001).
    """
    inside = mask > 0.5 * mask.max()
    source_lab = cv2.cvtColor(source, cv2.COLOR_BGR2LAB).astype(np.float32)
    target_lab = cv2.cvtColor(target, cv2.COLOR_BGR2LAB).astype(np.float32)
    gain = (target_lab[inside].std(axis=0) + 1) / (source_lab[inside].std(axis=0) + 1)
    matched = (source_lab - source_lab[inside].mean(axis=0)) * gain + target_lab[inside].mean(axis=0)
    return as_image(cv2.cvtColor(as_image(np.clip(matched, 0, 255)), cv2.COLOR_LAB2BGR))


def _shape(landmarks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns five landmarks as complex numbers with position, size and roll taken out."""
    points = landmarks[:, 0] + 1j * landmarks[:, 1]
    return np.asarray((points - points.mean()) / (points[1] - points[0]))


def _similarity(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the 2 x 3 similarity that brings source points nearest to target points."""
    a, b = source[:, 0] + 1j * source[:, 1], target[:, 0] + 1j * target[:, 1]
    centred = a - a.mean()
    factor = ((b - b.mean()) * centred.conj()).sum() / (np.abs(centred) ** 2).sum()
    shift = b.mean() - factor * a.mean()
    return np.array(((factor.real, -factor.imag, shift.real), (factor.imag, factor.real, shift.imag)))
