"""Random changes of colour and sharpness to BGR pictures: the raw material of forgeries and of degradations."""

from __future__ import annotations

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.random import Generator

from tinydf_runtime.types import Image

INTERPOLATIONS = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_AREA, cv2.INTER_NEAREST)


def as_image(array: MatLike | None) -> Image:
    """Casts OpenCV's MatLike to a uint8 array for mypy."""
    return np.asarray(array, dtype=np.uint8)


def shift_colour(image: Image, rng: Generator, strength: float = 1.0) -> Image:
    """Changes contrast, brightness, each channel's level, saturation and gamma.

    Args:
        image: H x W x 3, uint8, any colour order.
        rng: Source of all randomness.
        strength: 0 leaves the image as it is; 1 shifts channels by up to 20 levels.
    """
    gain = 1 + rng.uniform(-0.2, 0.2) * strength
    shift = rng.uniform(-20, 20, 3) * strength + rng.uniform(-15, 15) * strength
    gamma = 1 + rng.uniform(-0.2, 0.2) * strength
    levels = np.linspace(0, 1, 256)[:, None] ** gamma * 255
    table = np.clip((levels - 128) * gain + 128 + shift, 0, 255).astype(np.uint8)
    shifted = as_image(cv2.LUT(image, table.reshape(256, 1, 3)))
    if rng.random() < 0.5:
        grey = cv2.cvtColor(cv2.cvtColor(shifted, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
        saturation = 1 + rng.uniform(-0.5, 0.3) * strength
        shifted = as_image(cv2.addWeighted(shifted, saturation, grey, 1 - saturation, 0))
    return shifted


def resample(image: Image, factor: float, rng: Generator) -> Image:
    """Returns the picture shrunk by a factor below 1, averaging areas, and enlarged back by a random interpolation."""
    height, width = image.shape[:2]
    small = (max(8, round(width * factor)), max(8, round(height * factor)))
    shrunk = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    enlarge = INTERPOLATIONS[rng.choice(3, p=(0.45, 0.45, 0.1))]
    return as_image(cv2.resize(shrunk, (width, height), interpolation=enlarge))


def blur(image: Image, sigma_px: float) -> Image:
    """Returns the picture after a Gaussian blur with a standard deviation of ``sigma_px`` pixels."""
    return as_image(cv2.GaussianBlur(image, (0, 0), sigma_px))


def sharpen(image: Image, amount: float) -> Image:
    """Adds ``amount`` times the difference to a blurred copy (unsharp mask)."""
    return as_image(cv2.addWeighted(image, 1 + amount, blur(image, 1.5), -amount, 0))


def add_noise(image: Image, sigma: float, rng: Generator) -> Image:
    """Adds Gaussian sensor noise of ``sigma`` levels, half of the time the same in all channels."""
    channels = 1 if rng.random() < 0.5 else 3
    noise = rng.standard_normal((*image.shape[:2], channels), dtype=np.float32) * np.float32(sigma)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def jpeg(image: Image, quality: int) -> Image:
    """Returns the picture after JPEG compression and decoding at a quality of 1 to 100."""
    _, data = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, quality))
    return as_image(cv2.imdecode(data, cv2.IMREAD_COLOR))
