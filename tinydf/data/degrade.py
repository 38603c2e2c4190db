"""Random degradations of a face on its way into a video, the same for real and forged."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import cv2
import numpy as np
from numpy.random import Generator

from tinydf.data import photometry
from tinydf.data.coding import draw_crf, draw_palette, draw_screen, draw_video
from tinydf.data.video_codec import h264_round_trip
from tinydf_runtime.types import Image

Degradation: TypeAlias = Callable[[Image], Image]

COMPRESSION_SHARES = {
    "moving video": 0.67,
    "filmed screen": 0.03,
    "intra frame": 0.07,
    "jpeg": 0.15,
    "palette": 0.03,
    "none": 0.05,
}
"""How often each kind of compression is drawn."""
BARE_SHARE = 0.3
"""Share of the pairs that are coded only: no change of light, blur, noise or size before."""


def draw_degradation(rng: Generator) -> Degradation:
    """Draws a chain of degradations.

    The chain is drawn once and applied to a real photo and to every forgery made from it, so that neither compression
    nor sharpness gives the label away. Order as in an imaging pipeline: light, lens, sensor, scaling, compression.

    Returns:
        A function of an H x W x 3 BGR uint8 image that returns one of the same kind, perhaps smaller.
    """
    # For many shared videos coding is the only degradation, so it must occur alone too.
    chain = [] if rng.random() < BARE_SHARE else _draw_filming(rng)
    return partial(_apply, chain=[*chain, *_draw_compression(rng)])


def draw_clip(rng: Generator) -> Degradation:
    """Draws the degradations of a clip's frame: sometimes filming, always a moving video's coding."""
    chain = [] if rng.random() < 0.7 else _draw_filming(rng)
    return partial(_apply, chain=[*chain, draw_video(rng)])


def _draw_filming(rng: Generator) -> list[Degradation]:
    chain: list[Degradation] = []
    if rng.random() < 0.6:
        chain.append(_repeatable(photometry.shift_colour, rng, strength=rng.uniform(0.2, 1.0)))
    if rng.random() < 0.12:
        chain.append(partial(photometry.blur, sigma_px=rng.uniform(0.4, 1.4)))
    if rng.random() < 0.06:
        chain.append(partial(_motion_blur, length_px=int(rng.integers(3, 7)), angle_deg=rng.uniform(0, 180)))
    if rng.random() < 0.18:
        chain.append(_repeatable(photometry.add_noise, rng, sigma=rng.uniform(1, 6)))
    if rng.random() < 0.35:
        interpolation = photometry.INTERPOLATIONS[rng.integers(3)]
        chain.append(partial(_scale, factor=rng.uniform(0.45, 1.3), interpolation=interpolation))
    return chain


def _draw_compression(rng: Generator) -> list[Degradation]:
    kind = rng.choice(list(COMPRESSION_SHARES), p=list(COMPRESSION_SHARES.values()))
    if kind == "none":
        return []
    if kind == "jpeg":
        return [_draw_jpeg(rng, 45)]
    if kind == "intra frame":
        return [partial(h264_round_trip, crf=draw_crf(rng))]
    if kind == "palette":
        return [draw_palette(rng)]
    chain: list[Degradation] = [draw_video(rng)]
    if kind == "filmed screen":
        chain.insert(0, draw_screen(rng))
    if rng.random() < 0.15:
        # A video frame saved as a picture.
        chain.append(_draw_jpeg(rng, 70))
    return chain


def _draw_jpeg(rng: Generator, least_quality: int) -> Degradation:
    return partial(photometry.jpeg, quality=int(rng.integers(least_quality, 98)))


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
