"""The ladder of perturbations for robustness figures.

Kinds and levels 1 to 5 as published with DeeperForensics-1.0 (Jiang et al., CVPR 2020), of which "JPEG" is pixelation,
as its code has it; then real JPEG at falling quality and real H.264 at a rising rate factor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from tinydf.data import photometry
from tinydf.data.photometry import as_image
from tinydf.data.video_codec import h264_round_trip
from tinydf_runtime.types import Image

BLOCK_PX = 8
BLOCK_GREY = 128
BLOCKS_PER_PX = 256
"""The number of grey blocks is given for so many pixels of the shorter side."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of perturbation.

    Attributes:
        apply: H x W x 3 BGR uint8, parameter, source of randomness -> the same shape.
        unit: What the parameter counts.
        levels: Its values, the mildest first.
        published: Whether kind and levels are those of DeeperForensics-1.0.
    """

    apply: Callable[[Image, float, Generator], Image]
    unit: str
    levels: tuple[float, ...]
    published: bool = True


@dataclass(frozen=True, slots=True)
class Perturbation:
    """One rung of the ladder.

    Attributes:
        kind: A key of ``KINDS``, or ``none``.
        level: 1 for the mildest.
        parameter: How much of it, in the kind's unit.
    """

    kind: str
    level: int
    parameter: float

    def apply(self, image: Image, rng: Generator) -> Image:
        """Returns the perturbed image: H x W x 3, BGR, uint8, as it came."""
        return KINDS[self.kind].apply(image, self.parameter, rng) if self.level else image


def saturate(image: Image, factor: float, rng: Generator) -> Image:
    """Scales the distance of every colour from grey."""
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    return as_image(cv2.addWeighted(image, factor, grey, 1 - factor, 0))


def darken(image: Image, factor: float, rng: Generator) -> Image:
    """Scales every level, which lowers contrast and brightness together."""
    return (image * np.float32(factor)).astype(np.uint8)


def cover_with_blocks(image: Image, count: float, rng: Generator) -> Image:
    """Covers random places with grey blocks: ``count`` for each ``BLOCKS_PER_PX`` whole pixels of the shorter side."""
    height, width = image.shape[:2]
    covered = image.copy()
    # The published code draws none where the picture is smaller than one unit; a face's window often is.
    for _ in range(int(count) * max(1, min(height, width) // BLOCKS_PER_PX)):
        x, y = rng.integers(0, max(1, width - BLOCK_PX)), rng.integers(0, max(1, height - BLOCK_PX))
        covered[y : y + BLOCK_PX, x : x + BLOCK_PX] = BLOCK_GREY
    return covered


def add_colour_noise(image: Image, variance: float, rng: Generator) -> Image:
    """Adds Gaussian noise of a variance on a scale of 0..1 to luma and both chroma planes."""
    planes = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_BGR2YCrCb)
    noisy = planes + rng.standard_normal(planes.shape, dtype=np.float32) * np.float32(np.sqrt(variance))
    return np.clip(cv2.cvtColor(noisy, cv2.COLOR_YCrCb2BGR) * 255, 0, 255).astype(np.uint8)


def blur(image: Image, kernel_px: float, rng: Generator) -> Image:
    """Blurs with a Gaussian whose deviation is a sixth of its kernel."""
    return as_image(cv2.GaussianBlur(image, (int(kernel_px), int(kernel_px)), kernel_px / 6))


def pixelate(image: Image, divisor: float, rng: Generator) -> Image:
    """Shrinks and enlarges back, bilinearly."""
    height, width = image.shape[:2]
    small = cv2.resize(image, (max(1, int(width // divisor)), max(1, int(height // divisor))))
    return as_image(cv2.resize(small, (width, height)))


def compress_as_jpeg(image: Image, quality: float, rng: Generator) -> Image:
    """Sends an image through JPEG."""
    return photometry.jpeg(image, int(quality))


def compress_as_video(image: Image, crf: float, rng: Generator) -> Image:
    """Sends an image through H.264, as a video of this one frame."""
    return h264_round_trip(image, int(crf))


KINDS = {
    "saturation": Kind(saturate, "factor", (0.4, 0.3, 0.2, 0.1, 0.0)),
    "contrast": Kind(darken, "factor", (0.85, 0.725, 0.6, 0.475, 0.35)),
    "grey blocks": Kind(cover_with_blocks, "blocks", (16, 32, 48, 64, 80)),
    "colour noise": Kind(add_colour_noise, "variance", (0.001, 0.002, 0.005, 0.01, 0.05)),
    "blur": Kind(blur, "kernel px", (7, 9, 13, 17, 21)),
    "pixelation": Kind(pixelate, "divisor", (2, 3, 4, 5, 6)),
    "video compression": Kind(compress_as_video, "CRF", (30, 32, 35, 38, 40)),
    "JPEG": Kind(compress_as_jpeg, "quality", (95, 75, 50, 30, 10), published=False),
    "H.264": Kind(compress_as_video, "CRF", (18, 23, 28, 34, 40), published=False),
}
"""The published kinds by their order CS, CC, BW, GNC, GB, JPEG, VC, and two real ones."""
UNCHANGED = Perturbation("none", 0, 0)
LADDER = tuple(
    Perturbation(name, level, value) for name, kind in KINDS.items() for level, value in enumerate(kind.levels, 1)
)
