"""Similarity and elastic warps, each sample its own, through ``grid_sample``; borders are mirrored as OpenCV's are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from tinydf.data.ondevice.axes import apply_axes, sampling_axis
from tinydf.data.ondevice.randomness import Numbers, to_device


def about_centre(centre: Numbers, turn_degrees: Numbers, scale: Numbers, shift_px: Numbers) -> Numbers:
    """Returns N x 2 x 3: turns and scales about N x 2 centres, then shifts by N x 2, as ``cv2.getRotationMatrix2D``."""
    radians = np.deg2rad(turn_degrees)
    along, across = scale * np.cos(radians), scale * np.sin(radians)
    x, y = centre.T
    first = np.stack((along, across, (1 - along) * x - across * y + shift_px[:, 0]), axis=-1)
    second = np.stack((-across, along, across * x + (1 - along) * y + shift_px[:, 1]), axis=-1)
    return np.stack((first, second), axis=1)


def inverted(affines: Numbers) -> Numbers:
    """Returns the N x 2 x 3 transforms that undo N x 2 x 3 others."""
    linear = np.linalg.inv(affines[:, :, :2])
    return np.concatenate((linear, -linear @ affines[:, :, 2:]), axis=2)


def pixel_grid(backward: Numbers, side_px: int, device: torch.device) -> Tensor:
    """Returns N x 2 x S x S, x before y, pixels: where each pixel of the warped image comes from."""
    matrix = to_device(backward, device)
    at = torch.arange(side_px, device=device, dtype=torch.float32)
    columns, rows, shift = matrix.unbind(-1)
    return columns[..., None, None] * at + rows[..., None, None] * at[:, None] + shift[..., None, None]


def elastic_field(coarse_px: Numbers, centre: Numbers, span_px: Numbers, side_px: int, device: torch.device) -> Tensor:
    """Returns N x 2 x S x S displacements in pixels: coarse ones, N x 2 x K x K, spread smoothly over a square.

    Args:
        coarse_px: The coarse field.
        centre: N x 2: the square's middle.
        span_px: N: its side; beyond it the field goes on as at its border.
        side_px: S.
        device: Where the field is wanted.
    """
    cells = coarse_px.shape[-1]
    step = cells / span_px
    columns, rows = (
        sampling_axis((span_px / 2 - along) * step, step, "cubic", side_px, cells, device) for along in centre.T
    )
    return apply_axes(to_device(coarse_px, device), rows, columns)


def sample_at(images: Tensor, grid_px: Tensor, mode: Literal["bilinear", "bicubic"] = "bilinear") -> Tensor:
    """Returns the images, N x C x S x S, read at N x 2 x S x S places in pixels."""
    most = images.shape[-1] - 1
    grid = (grid_px * (2 / most) - 1).permute(0, 2, 3, 1)
    return functional.grid_sample(images, grid, mode=mode, padding_mode="reflection", align_corners=True)


def similarities(source: Numbers, target: Numbers) -> Numbers:
    """Returns N x 2 x 3: the similarities that bring N x P x 2 points nearest to others (Umeyama, PAMI 1991)."""
    a, b = as_complex(source), as_complex(target)
    centred = a - a.mean(-1, keepdims=True)
    spread = (np.abs(centred) ** 2).sum(-1)
    factor = ((b - b.mean(-1, keepdims=True)) * centred.conj()).sum(-1) / spread
    shift = b.mean(-1) - factor * a.mean(-1)
    rows = ((factor.real, -factor.imag, shift.real), (factor.imag, factor.real, shift.imag))
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=1)


def as_complex(points: Numbers | Sequence[Numbers]) -> NDArray[np.complex128]:
    """Returns ... x 2 points as complex numbers."""
    values = np.asarray(points, np.float64)
    return np.asarray(values[..., 0] + 1j * values[..., 1], dtype=np.complex128)
