"""Filters and resampling as one matrix an axis, so that each sample of a batch has its own width, scale and place.

Images are multiplied by one matrix for their rows and one for their columns; two steps in a row are the product of
their matrices. Kernels are OpenCV's: area averages what a pixel covers, cubic has its -0.75.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tinydf.data.ondevice.randomness import Numbers, to_device

Kernel: TypeAlias = Literal["linear", "cubic", "area"]
CUBIC_SHARPNESS = -0.75


def apply_axes(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Filters or resamples each sample by its own matrices.

    Args:
        images: N x ... x H x W, float.
        rows: N x h x H.
        columns: N x w x W.

    Returns:
        N x ... x h x w.
    """
    count, height, width = len(images), images.shape[-2], images.shape[-1]
    narrowed = torch.bmm(images.reshape(count, -1, width), columns.transpose(1, 2))
    planes = narrowed.view(count, -1, height, columns.shape[1])
    # Samples' planes side by side, so that their common matrix is multiplied once.
    beside = planes.permute(0, 2, 1, 3).reshape(count, height, -1)
    done = torch.bmm(rows, beside).view(count, rows.shape[1], planes.shape[1], columns.shape[1])
    return done.permute(0, 2, 1, 3).reshape(*images.shape[:-2], rows.shape[1], columns.shape[1])


def gaussian_axis(sigma_px: Numbers, length: int, device: torch.device) -> Tensor:
    """Returns N x L x L: a Gaussian blur of each sample's own width."""
    at = torch.arange(length, device=device, dtype=torch.float32)
    squared = (at[:, None] - at) ** 2
    spread = to_device(2 * sigma_px**2, device).view(-1, 1, 1)
    return _as_means(torch.exp(-squared / spread))


def double_box_axis(sigma_px: Numbers, length: int, device: torch.device) -> Tensor:
    """Returns N x L x L: two box filters in a row, which come near a Gaussian, as ``masks.draw_mask`` blurs."""
    at = torch.arange(length, device=device, dtype=torch.float32)
    radius = to_device(np.maximum(1, np.round(sigma_px * 1.7)), device).view(-1, 1, 1)
    box = _as_means(((at[:, None] - at).abs() <= radius).float())
    return torch.bmm(box, box)


def sampling_axis(
    start_px: Numbers,
    step_px: Numbers,
    kernels: Kernel | Sequence[Kernel] | NDArray[np.str_],
    length: int,
    source_length: int,
    device: torch.device,
    bounds_px: tuple[Numbers, Numbers] | None = None,
) -> Tensor:
    """Returns N x L x S: the resampling of S pixels to L for each sample.

    Args:
        start_px: N: where in the source the first new pixel's edge lies.
        step_px: N: source pixels a new pixel; above 1 shrinks.
        kernels: One for all or one a sample. Only area averages when it shrinks; the others skip pixels, as OpenCV's.
        length: L.
        source_length: S.
        device: Where the matrices are wanted.
        bounds_px: N each: where each sample's own source begins and ends, if not at 0 and S. Beyond, its outermost
            pixels go on.
    """
    begin, end = bounds_px or (np.zeros(len(start_px)), np.full(len(start_px), float(source_length)))
    values = to_device(np.stack((start_px, step_px, begin, end)), device).unsqueeze(-1)
    if isinstance(kernels, str):
        return _weigh(values, kernels, length, source_length)
    names = np.asarray(kernels)
    matrices = torch.empty(len(start_px), length, source_length, device=device)
    for kernel in ("linear", "cubic", "area"):
        index = np.flatnonzero(names == kernel)
        if len(index):
            places = to_device(index, device)
            part = _weigh(values.index_select(1, places), kernel, length, source_length)
            matrices.index_copy_(0, places, part)
    return matrices


def _weigh(values: Tensor, kernel: Kernel, length: int, source_length: int) -> Tensor:
    start, step = values[:2]
    begin, end = values[2:].unsqueeze(-1)
    new = torch.arange(length, device=values.device, dtype=torch.float32)
    source = torch.arange(source_length, device=values.device, dtype=torch.float32)
    if kernel == "area":
        low = (start + new * step).unsqueeze(-1)
        high = torch.minimum(torch.maximum(low + step.unsqueeze(-1), begin + 1), end)
        low = torch.minimum(torch.maximum(low, begin), end - 1)
        weights = (torch.minimum(high, source + 1) - torch.maximum(low, source)).clamp(min=0.0)
    else:
        centre = (start + (new + 0.5) * step - 0.5).unsqueeze(-1)
        distance = (torch.minimum(torch.maximum(centre, begin), end - 1) - source).abs()
        weights = (1 - distance).clamp(min=0.0) if kernel == "linear" else _cubic(distance)
    return _as_means(weights * (source < end) * (source >= begin))


def _cubic(distance: Tensor) -> Tensor:
    a = CUBIC_SHARPNESS
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
    return torch.where(distance <= 1, near, torch.where(distance < 2, far, 0.0))


def _as_means(weights: Tensor) -> Tensor:
    return weights / weights.sum(-1, keepdim=True)
