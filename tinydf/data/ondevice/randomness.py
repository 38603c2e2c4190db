"""Where a batch's randomness comes from, and how its parameters reach the samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Numbers: TypeAlias = NDArray[np.float64]
Chosen: TypeAlias = NDArray[np.bool_]
Indices: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Randomness:
    """Both sources of one batch's randomness.

    Attributes:
        choices: On the host: what is done to which sample, and how strongly.
        pixels: On the device: noise and whatever else needs a number a pixel.
    """

    choices: np.random.Generator
    pixels: torch.Generator


def open_randomness(key: Sequence[int], device: torch.device) -> Randomness:
    """Returns the randomness that a key, such as a seed and a step, stands for."""
    sequence = np.random.SeedSequence(key)
    pixels = torch.Generator(device)
    pixels.manual_seed(int(sequence.generate_state(1, np.uint64)[0] >> 1))
    return Randomness(np.random.default_rng(sequence), pixels)


def to_device(values: NDArray[Any], device: torch.device) -> Tensor:
    """Returns host values on the device without waiting for it; floats as float32."""
    kept = values.astype(np.float32) if values.dtype.kind == "f" else values
    return torch.from_numpy(np.ascontiguousarray(kept)).to(device, non_blocking=True)


def per_sample(values: NDArray[Any], images: Tensor) -> Tensor:
    """Returns one number a sample, shaped to broadcast over the images."""
    return to_device(np.asarray(values, np.float64), images.device).view(-1, *(1,) * (images.ndim - 1))


def per_channel(values: NDArray[Any], images: Tensor) -> Tensor:
    """Returns three numbers a sample, N x 3, shaped to broadcast over images of ... x 3 x H x W."""
    return to_device(np.asarray(values, np.float64), images.device).view(-1, *(1,) * (images.ndim - 4), 3, 1, 1)


def change_some(images: Tensor, chosen: Chosen, change: Callable[[Tensor, Indices], Tensor]) -> Tensor:
    """Changes the chosen samples and leaves the others.

    Args:
        images: N x ..., one or more images a sample.
        chosen: N, on the host, so that the others cost nothing.
        change: Called with the chosen images and their indices; returns them changed, in the same shape.
    """
    index = np.flatnonzero(chosen)
    if not len(index):
        return images
    if len(index) == len(images):
        return change(images, index)
    places = to_device(index, images.device)
    return images.index_copy(0, places, change(images.index_select(0, places), index))
