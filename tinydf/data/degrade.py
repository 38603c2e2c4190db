"""What happens to a face on its way into a video, the same for real and forged."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import cv2
import numpy as np
from numpy.random import Generator

from tinydf.data import photometry
from tinydf.data.video_codec import h264_round_trip
from tinydf_runtime.types import Image

Degradation: TypeAlias = Callable[[Image], Image]


def draw_degradation(rng: Generator) -> Degradation:
    """Draws a chain of degradations.

    The chain is drawn once and applied to a real photo and to every forgery made from it, so that neither compression
    nor sharpness gives the label away. Order as in life: light, lens, sensor, scaling, compression.

    Returns:
        A function of an H x W x 3 BGR uint8 image that returns one of the same kind, perhaps smaller.
    """
    chain: list[Degradation] = []
    if rng.random() < 0.5:
        chain.append(_repeatable(photometry.shift_colour, rng, strength=rng.uniform(0.2, 1.0)))
    if rng.random() < 0.1:
        chain.append(partial(photometry.blur, sigma_px=rng.uniform(0.4, 1.4)))
    if rng.random() < 0.05:
        chain.append(partial(_motion_blur, length_px=int(rng.integers(3, 7)), angle_deg=rng.uniform(0, 180)))
    if rng.random() < 0.15:
        chain.append(_repeatable(photometry.add_noise, rng, sigma=rng.uniform(1, 6)))
    if rng.random() < 0.3:
        interpolation = photometry.INTERPOLATIONS[rng.integers(3)]
        chain.append(partial(_scale, factor=rng.uniform(0.45, 1.3), interpolation=interpolation))
    for _ in range(rng.choice(3, p=(0.25, 0.65, 0.1))):
        chain.append(_draw_compression(rng))
    return partial(_apply, chain=chain)


def _draw_compression(rng: Generator) -> Degradation:
    if rng.random() < 0.5:
        return partial(photometry.jpeg, quality=int(rng.integers(45, 98)))
    # Most video is near 23; a fifth is as poor as the low-quality halves of the public sets.
    crf = int(rng.integers(16, 30)) if rng.random() < 0.8 else int(rng.integers(30, 41))
    return partial(h264_round_trip, crf=crf)


def _apply(image: Image, chain: list[Degradation]) -> Image:
    for step in chain:
        image = step(image)
    return image


def _repeatable(function: Callable[..., Image], rng: Generator, **settings: float) -> Degradation:
    """Fixes a function's randomness, so that it does the same to each image of a pair."""
    seed = int(rng.integers(2**32))
    return lambda image: function(image, rng=np.random.default_rng(seed), **settings)


def _motion_blur(image: Image, length_px: int, angle_deg: float) -> Image:
    level = np.zeros((length_px, length_px), np.float32)
    level[length_px // 2] = 1
    centre = ((length_px - 1) / 2, (length_px - 1) / 2)
    kernel = cv2.warpAffine(level, cv2.getRotationMatrix2D(centre, angle_deg, 1), (length_px, length_px))
    return photometry.as_image(cv2.filter2D(image, -1, kernel / kernel.sum()))


def _scale(image: Image, factor: float, interpolation: int) -> Image:
    height, width = image.shape[:2]
    size = (max(48, round(width * factor)), max(48, round(height * factor)))
    return photometry.as_image(cv2.resize(image, size, interpolation=cv2.INTER_AREA if factor < 0.7 else interpolation))
