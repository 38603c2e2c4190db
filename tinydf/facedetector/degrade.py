"""A clean training picture -> one as a camera and a codec would give it."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tinydf.data.video_codec import h264_round_trip
from tinydf_runtime.types import Image

# Of whole numbers from 0 to 255, all equally likely.
UNIFORM_DEVIATION = 73.9
_LUMA = np.array([[0.114, 0.587, 0.299]] * 3, np.float32)


def degrade(image: Image, rng: np.random.Generator) -> Image:
    """Returns a copy with random light, colour, blur, noise and compression.

    Args:
        image: H x W x 3, BGR, uint8.
        rng: Source of all choices.
    """
    image = _change_light(image, rng)
    if rng.random() < 0.3:
        image = _mix_channels(image, rng)
    kind = rng.random()
    if kind < 0.14:
        image = _uint8(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.6)))
    elif kind < 0.26:
        image = _move(image, rng)
    elif kind < 0.38:
        image = _lose_detail(image, rng)
    elif kind < 0.46:
        image = _uint8(cv2.addWeighted(image, 2.0, cv2.GaussianBlur(image, (0, 0), 1.2), -1.0, 0.0))
    if rng.random() < 0.25:
        image = _add_noise(image, rng, rng.uniform(1.0, 12.0))
    if rng.random() < 0.4:
        image = _compress(image, rng)
    return image


def _uint8(image: NDArray[Any]) -> Image:
    return image.astype(np.uint8, copy=False)


def _change_light(image: Image, rng: np.random.Generator) -> Image:
    """Gain, gamma and offset, each channel a little apart; one picture in six is taken in low light."""
    ramp = np.linspace(0.0, 1.0, 256)[:, None]
    tint = rng.uniform(0.88, 1.12, 3)
    if rng.random() < 0.16:
        gain, gamma, offset = rng.uniform(0.12, 0.5), rng.uniform(1.0, 1.6), rng.uniform(0.0, 0.03)
        dark = True
    else:
        gain, gamma, offset = rng.uniform(0.65, 1.4), rng.uniform(0.7, 1.45), rng.uniform(-0.08, 0.1)
        dark = False
    curve = (255.0 * (gain * tint * ramp**gamma + offset)).clip(0, 255).astype(np.uint8)
    image = _uint8(cv2.LUT(image, curve.reshape(256, 1, 3)))
    return _add_noise(image, rng, rng.uniform(1.0, 7.0)) if dark else image


def _mix_channels(image: Image, rng: np.random.Generator) -> Image:
    """Grey, pale or strong colours."""
    keep = 0.0 if rng.random() < 0.4 else rng.uniform(0.2, 1.7)
    return _uint8(cv2.transform(image, (keep * np.eye(3) + (1.0 - keep) * _LUMA).astype(np.float32)))


def _move(image: Image, rng: np.random.Generator) -> Image:
    """Motion blur along a line."""
    length = int(rng.integers(3, 10))
    kernel = np.zeros((length, length), np.float32)
    middle, angle = (length - 1) / 2, rng.uniform(0.0, np.pi)
    reach = np.array([np.cos(angle), np.sin(angle)]) * middle
    start, end = (np.rint(middle + sign * reach).astype(int).tolist() for sign in (-1.0, 1.0))
    cv2.line(kernel, tuple(start), tuple(end), 1.0)
    return _uint8(cv2.filter2D(image, -1, kernel / kernel.sum()))


def _lose_detail(image: Image, rng: np.random.Generator) -> Image:
    """A smaller picture blown up again."""
    height, width = image.shape[:2]
    factor = rng.uniform(1.3, 2.6)
    shrink = int(rng.choice([cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_NEAREST], p=[0.5, 0.4, 0.1]))
    grow = int(rng.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_NEAREST], p=[0.5, 0.4, 0.1]))
    small = cv2.resize(image, (round(width / factor), round(height / factor)), interpolation=shrink)
    return _uint8(cv2.resize(small, (width, height), interpolation=grow))


def _add_noise(image: Image, rng: np.random.Generator, sigma: float) -> Image:
    """Adds noise of a deviation of ``sigma`` grey levels, grey or coloured."""
    height, width = image.shape[:2]
    channels = 1 if rng.random() < 0.3 else 3
    # Uniform noise looks like Gaussian noise after one blur or codec, and takes a tenth of the time to draw.
    wave = rng.integers(0, 256, (height, width, channels), dtype=np.uint8)
    if channels == 1:
        wave = cv2.cvtColor(wave, cv2.COLOR_GRAY2BGR).astype(np.uint8, copy=False)
    scale = sigma / UNIFORM_DEVIATION
    return _uint8(cv2.addWeighted(image, 1.0, wave, scale, -127.5 * scale))


def _compress(image: Image, rng: np.random.Generator) -> Image:
    """JPEG, at times smoothed after, or H.264."""
    if rng.random() < 0.2:
        return h264_round_trip(image, int(rng.integers(20, 40)))
    quality = int(100 * rng.beta(2.0, 1.6) * 0.85 + 10)
    encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    image = _uint8(np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR)))
    return _uint8(cv2.medianBlur(image, 3)) if rng.random() < 0.2 else image
