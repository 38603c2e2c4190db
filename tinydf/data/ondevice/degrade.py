"""What happens to faces on their way into videos, as ``tinydf/data/degrade.py`` does it, a batch at a time."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from tinydf.data.ondevice import photometry
from tinydf.data.ondevice.axes import apply_axes, sampling_axis
from tinydf.data.ondevice.jpeg import jpeg
from tinydf.data.ondevice.randomness import Indices, Numbers, Randomness, change_some
from tinydf.data.ondevice.video_codec import video_codec

LONGEST_STREAK_PX = 7


def degrade(images: Tensor, most_enlarged: Numbers, rng: Randomness) -> tuple[Tensor, Numbers]:
    """Draws a chain of degradations for each sample and applies it to all images of the sample.

    Order as in life: light, lens, sensor, scaling, compression.

    Args:
        images: N x V x 3 x S x S, RGB, levels of 0..255: V versions of a picture.
        most_enlarged: N: by how much each may be enlarged before what is needed of it leaves the window.
        rng: Source of all randomness.

    Returns:
        The degraded images, of the same shape, and the scale of each, N, about the window's middle.
    """
    count, draw = len(images), rng.choices.uniform
    kind = rng.choices.random((4, count))
    strength = draw(0.2, 1.0, count)
    images = change_some(images, kind[0] < 0.5, lambda part, index: photometry.shift_colour(part, strength[index], rng))
    images = change_some(images, kind[1] < 0.1, lambda part, index: photometry.blur(part, draw(0.4, 1.4, len(index))))
    images = change_some(images, kind[2] < 0.05, lambda part, index: _motion_blur(part, rng))
    images = change_some(
        images, kind[3] < 0.15, lambda part, index: photometry.add_noise(part, draw(1, 6, len(index)), rng)
    )
    scaled = rng.choices.random(count) < 0.3
    factors = np.where(scaled, np.minimum(draw(0.45, 1.3, count), most_enlarged), 1.0)
    images = change_some(images, scaled, lambda part, index: _scale(part, factors[index], rng))
    rounds = rng.choices.choice(3, count, p=(0.25, 0.65, 0.1))
    for number in (1, 2):
        images = change_some(images, rounds >= number, lambda part, index: _compress(part, rng))
    return images, factors


def _motion_blur(images: Tensor, rng: Randomness) -> Tensor:
    count, reach = len(images), LONGEST_STREAK_PX // 2
    length = rng.choices.integers(3, LONGEST_STREAK_PX, count)[:, None, None]
    angle = rng.choices.uniform(0, np.pi, count)[:, None, None]
    x = np.arange(-reach, reach + 1.0)
    along, across = x * np.cos(angle) + x[:, None] * np.sin(angle), x[:, None] * np.cos(angle) - x * np.sin(angle)
    kernels = np.clip(1 - np.abs(across), 0, 1) * np.clip(length / 2 + 0.5 - np.abs(along), 0, 1)
    kernels /= kernels.sum(axis=(1, 2), keepdims=True)
    return photometry.as_levels(photometry.filter_each(images, kernels))


def _scale(images: Tensor, factors: Numbers, rng: Randomness) -> Tensor:
    """Resamples about the window's middle."""
    length = images.shape[-1]
    drawn = rng.choices.choice(photometry.ENLARGEMENTS, len(images))
    kernels = np.where(factors < 0.7, "area", drawn)
    axis = sampling_axis(length / 2 * (1 - 1 / factors), 1 / factors, kernels, length, length, images.device)
    return photometry.as_levels(apply_axes(images, axis, axis))


def _compress(images: Tensor, rng: Randomness) -> Tensor:
    count = len(images)
    still = rng.choices.random(count) < 0.5
    qualities = rng.choices.integers(45, 98, count)
    # Most video is near 23; a fifth is as poor as the low-quality halves of the public sets.
    crf = np.where(
        rng.choices.random(count) < 0.8, rng.choices.integers(16, 30, count), rng.choices.integers(30, 41, count)
    )

    def as_still(part: Tensor, index: Indices) -> Tensor:
        return jpeg(part, qualities[index])

    def as_video(part: Tensor, index: Indices) -> Tensor:
        return video_codec(part, crf[index].astype(np.float64))

    return change_some(change_some(images, still, as_still), ~still, as_video)
