"""Random changes of colour and sharpness, as ``tinydf/data/photometry.py`` makes them, a batch at a time.

Images are N x ... x 3 x H x W, RGB, float32 that holds whole levels of 0..255; what comes out is of the same kind. A
sample may hold several images: all of them are changed alike.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from tinydf.data.ondevice.axes import Kernel, apply_axes, gaussian_axis, sampling_axis
from tinydf.data.ondevice.randomness import Numbers, Randomness, per_channel, per_sample, to_device

ENLARGEMENTS: tuple[Kernel, ...] = ("linear", "cubic", "area")
BILATERAL_SIGMA_PX = 2


def as_levels(images: Tensor) -> Tensor:
    """Returns what an 8-bit image would hold."""
    return images.clamp(0, 255).round_()


def shift_colour(images: Tensor, strength: Numbers, rng: Randomness) -> Tensor:
    """Changes contrast, brightness, each channel's level, saturation and gamma; strength is one number a sample."""
    count, draw = len(images), rng.choices.uniform
    gain = 1 + draw(-0.2, 0.2, count) * strength
    shift = (draw(-20, 20, (count, 3)) + draw(-15, 15, (count, 1))) * strength[:, None]
    gamma = 1 + draw(-0.2, 0.2, count) * strength
    saturation = np.where(draw(0, 1, count) < 0.5, 1 + draw(-0.5, 0.3, count) * strength, 1.0)
    curved = (images / 255) ** per_sample(gamma, images) * 255
    offset = 128 + shift - 128 * gain[:, None]
    shifted = (curved * per_sample(gain, images) + per_channel(offset, images)).clamp_(0, 255).floor_()
    grey = luma(shifted).round_()
    return as_levels(torch.lerp(grey.expand_as(shifted), shifted, per_sample(saturation, images)))


def resample(images: Tensor, factor: Numbers, rng: Randomness) -> Tensor:
    """Shrinks by factors below 1 and enlarges back, as a decoder of fewer pixels would leave it."""
    kernels = rng.choices.choice(ENLARGEMENTS, len(images), p=(0.45, 0.45, 0.1))
    length = images.shape[-1]
    small = np.maximum(8, np.round(length * factor))
    axis = torch.bmm(enlarging_axis(small, kernels, length, images), shrinking_axis(small, length, images))
    return as_levels(apply_axes(images, axis, axis))


def shrinking_axis(small: Numbers, length: int, images: Tensor) -> Tensor:
    """Returns N x K x L: brings L pixels to each sample's own smaller number; K is the largest of them."""
    start, most = np.zeros(len(small)), int(small.max())
    return sampling_axis(start, length / small, "area", most, length, images.device)


def enlarging_axis(small: Numbers, kernels: Kernel | NDArray[np.str_], length: int, images: Tensor) -> Tensor:
    """Returns N x L x K: undoes ``shrinking_axis``."""
    start, most = np.zeros(len(small)), int(small.max())
    return sampling_axis(start, small / length, kernels, length, most, images.device, (start, small))


def blur(images: Tensor, sigma_px: Numbers) -> Tensor:
    """Applies a Gaussian blur, its width one number a sample."""
    axis = gaussian_axis(sigma_px, images.shape[-1], images.device)
    return as_levels(apply_axes(images, axis, axis))


def sharpen(images: Tensor, amount: Numbers) -> Tensor:
    """Adds ``amount`` times the difference to a blurred copy (unsharp mask)."""
    blurred = blur(images, np.full(len(images), 1.5))
    return as_levels(images + per_sample(amount, images) * (images - blurred))


def add_noise(images: Tensor, sigma: Numbers, rng: Randomness) -> Tensor:
    """Adds Gaussian sensor noise, half of the time the same in all channels; the same to all images of a sample."""
    count, height, width = len(images), images.shape[-2], images.shape[-1]
    shape = (count, *(1,) * (images.ndim - 4), 3, height, width)
    noise = torch.randn(shape, generator=rng.pixels, device=images.device)
    same = per_sample((rng.choices.random(count) < 0.5).astype(np.float64), noise)
    noise = torch.lerp(noise, noise[..., :1, :, :].expand_as(noise), same)
    return (images + per_sample(sigma, images) * noise).clamp_(0, 255).floor_()


def filter_each(images: Tensor, kernels: Numbers) -> Tensor:
    """Correlates each sample with its own kernel, N x K x K; its centre is at K // 2. Levels are not rounded."""
    count, height, width = len(images), images.shape[-2], images.shape[-1]
    planes = images.reshape(count, -1, height, width)
    weights = to_device(np.repeat(kernels, planes.shape[1], axis=0)[:, None], images.device)
    before, after = kernels.shape[1] // 2, (kernels.shape[1] - 1) // 2
    padded = functional.pad(planes, (before, after, before, after), mode="reflect")
    filtered = functional.conv2d(padded.reshape(1, -1, *padded.shape[2:]), weights, groups=len(weights))
    return filtered.view(images.shape)


def median(images: Tensor) -> Tensor:
    """Returns the median of 3 x 3 pixels, N x 3 x H x W."""
    # Unlike torch's own median this is deterministic on every device.
    return torch.stack([neighbour for _, neighbour in _neighbours(images, 1, 2)]).sort(dim=0).values[4]


def bilateral(images: Tensor, sigma_levels: Numbers) -> Tensor:
    """Smooths but keeps edges, N x 3 x H x W, as ``cv2.bilateralFilter(image, 5, sigma_levels, 2)``."""
    scale = per_sample(-0.5 / sigma_levels**2, images)
    total, weights = torch.zeros_like(images), torch.zeros_like(images[:, :1])
    for squared, neighbour in _neighbours(images, 2, 4):
        distance = (neighbour - images).abs().sum(1, keepdim=True)
        weight = torch.exp(distance**2 * scale - squared / (2 * BILATERAL_SIGMA_PX**2))
        total.addcmul_(neighbour, weight)
        weights += weight
    return as_levels(total / weights)


def _neighbours(images: Tensor, reach: int, most_squared: int) -> Iterator[tuple[int, Tensor]]:
    """Yields the images shifted to each neighbour within reach, with the square of its distance."""
    height, width = images.shape[-2:]
    padded = functional.pad(images, (reach,) * 4, mode="reflect")
    for y in range(-reach, reach + 1):
        for x in range(-reach, reach + 1):
            if x * x + y * y <= most_squared:
                yield x * x + y * y, padded[..., reach + y : reach + y + height, reach + x : reach + x + width]


def luma(images: Tensor) -> Tensor:
    """Returns the brightness of ... x 3 x H x W, RGB, as ... x 1 x H x W (ITU-R BT.601)."""
    red, green, blue = images.unbind(-3)
    return (0.299 * red + 0.587 * green + 0.114 * blue).unsqueeze(-3)
