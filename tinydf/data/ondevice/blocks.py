"""What JPEG and H.264 share: block transforms, coarse levels, and colour at half the resolution."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional


def transform_blocks(planes: Tensor, size: int) -> Tensor:
    """Returns the orthonormal cosine transform of every block, N x C x H x W; each block's stays in its place."""
    return _both_ways(planes, _cosines(size, planes.device))


def restore_blocks(coefficients: Tensor, size: int) -> Tensor:
    """Undoes ``transform_blocks``."""
    return _both_ways(coefficients, _cosines(size, coefficients.device).T)


def _both_ways(planes: Tensor, matrix: Tensor) -> Tensor:
    size = len(matrix)
    upright = torch.matmul(matrix, planes.reshape(-1, size, planes.shape[-1]))
    return torch.matmul(upright.reshape(-1, size), matrix.T).reshape(planes.shape)


@lru_cache
def _cosines(size: int, device: torch.device) -> Tensor:
    at = torch.arange(size, dtype=torch.float64)
    matrix = torch.cos(math.pi / size * (at + 0.5) * at[:, None]) * math.sqrt(2 / size)
    matrix[0] /= math.sqrt(2)
    return matrix.float().to(device, non_blocking=True)


def halve(planes: Tensor) -> Tensor:
    """Averages 2 x 2 pixels to whole levels."""
    return functional.avg_pool2d(planes, 2).round_()


def double(planes: Tensor) -> Tensor:
    """Enlarges twice by weights of 3/4 and 1/4, the triangle filter of libjpeg's decoder."""
    return functional.interpolate(planes, scale_factor=2, mode="bilinear", align_corners=False).round_()
