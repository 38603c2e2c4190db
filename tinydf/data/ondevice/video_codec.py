"""A stand-in for H.264's intra frames on the device: what it does to a picture, not how.

Blocks are transformed and quantised without being predicted, finer where a macroblock is flat as x264's adaptive
quantisation has it, and their edges are smoothed. Over rate factors of 16 to 40 faces lose as much, to half a decibel,
as in ``tinydf/data/video_codec.py``.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tinydf.data.ondevice.blocks import halve, restore_blocks, transform_blocks
from tinydf.data.ondevice.photometry import as_levels
from tinydf.data.ondevice.randomness import Numbers, per_sample

DEAD_ZONE = 1 / 3
"""Rounding offset of intra blocks in H.264's reference encoder: two thirds of a step become nothing."""
FLAT_ENERGY = 14.427
AQ_STRENGTH = 1.0397
"""Of x264's adaptive quantisation: log2 of a macroblock's energy that gets the frame's own step, and the slope."""
QP_OF_CRF = -3.0
"""x264 gives intra frames 6 log2(1.4) less than the rate factor."""
MACROBLOCK_PX = 16


def video_codec(images: Tensor, crf: Numbers) -> Tensor:
    """Sends images through the stand-in.

    Args:
        images: N x ... x 3 x H x W, RGB, levels of 0..255; sides are multiples of 16.
        crf: N: the constant rate factor of x264 that each is to resemble.

    Returns:
        The same kind.
    """
    planes = images.reshape(-1, *images.shape[-3:])
    red, green, blue = planes.unbind(1)
    # ITU-R BT.601, limited range.
    brightness = (16 + 0.256788 * red + 0.504129 * green + 0.097906 * blue).round_().unsqueeze(1)
    chroma = torch.stack(
        (
            128 - 0.148223 * red - 0.290993 * green + 0.439216 * blue,
            128 + 0.439216 * red - 0.367788 * green - 0.071427 * blue,
        ),
        dim=1,
    ).round_()
    qp = per_sample(np.repeat(crf + QP_OF_CRF, len(planes) // len(images)), planes)
    local = (qp + _adaptation(brightness)).clamp(0, 51)
    brightness = _deblock(_quantize(brightness, _spread(local, 16), 8), local, 8)
    # Colour's steps grow more slowly than brightness's where they are coarse (H.264, table 8-15).
    coarse = torch.where(local > 30, 30 + 0.5 * (local - 30), local)
    halved = _deblock(_quantize(halve(chroma), _spread(coarse, 8), 4), coarse, 4)
    # Video players repeat colour's pixels; only JPEG's decoder interpolates between them.
    from_blue, from_red = (_spread(halved, 2) - 128).unbind(1)
    bright = 1.164384 * (brightness.squeeze(1) - 16)
    decoded = torch.stack(
        (
            bright + 1.596027 * from_red,
            bright - 0.391762 * from_blue - 0.812968 * from_red,
            bright + 2.017232 * from_blue,
        ),
        dim=1,
    )
    return as_levels(decoded).reshape(images.shape)


def _adaptation(brightness: Tensor) -> Tensor:
    """Returns N x 1 x H/16 x W/16: by how much flat macroblocks are quantised finer and rich ones coarser."""
    mean = functional.avg_pool2d(brightness, MACROBLOCK_PX)
    variance = functional.avg_pool2d(brightness**2, MACROBLOCK_PX) - mean**2
    return AQ_STRENGTH * (torch.log2((variance * MACROBLOCK_PX**2).clamp(min=1)) - FLAT_ENERGY)


def _spread(cells: Tensor, size_px: int) -> Tensor:
    return cells.repeat_interleave(size_px, 2).repeat_interleave(size_px, 3)


def _quantize(planes: Tensor, qp: Tensor, size: int) -> Tensor:
    steps = 0.625 * torch.exp2(qp / 6)
    coefficients = transform_blocks(planes - 128, size)
    kept = (coefficients.abs() / steps + DEAD_ZONE).floor_() * steps * coefficients.sign()
    return as_levels(restore_blocks(kept, size) + 128)


def _deblock(planes: Tensor, qp: Tensor, size: int) -> Tensor:
    """Smooths steps between blocks that are small enough to come from quantisation (H.264, section 8.7)."""
    mean_qp = qp.mean((1, 2, 3), keepdim=True)
    # The standard's tables of thresholds, as formulas (List et al., "Adaptive Deblocking Filter", 2003).
    alpha = 0.8 * (torch.exp2(mean_qp / 6) - 1)
    beta = (0.5 * mean_qp - 7).clamp(min=0)
    most = 25 * torch.exp2((mean_qp - 51) / 6.5)
    across = _deblock_columns(planes, size, alpha, beta, most)
    return _deblock_columns(across.transpose(2, 3), size, alpha, beta, most).transpose(2, 3).contiguous()


def _deblock_columns(planes: Tensor, size: int, alpha: Tensor, beta: Tensor, most: Tensor) -> Tensor:
    edges = planes.shape[3] // size - 1
    p1, p0, q0, q1 = (planes[..., size + offset :: size][..., :edges] for offset in (-2, -1, 0, 1))
    small = ((p0 - q0).abs() < alpha) & ((p1 - p0).abs() < beta) & ((q1 - q0).abs() < beta)
    change = ((q0 - p0) * 4 + p1 - q1).div_(8).round_().maximum(-most).minimum(most) * small
    smoothed = planes.clone()
    smoothed[..., size - 1 :: size][..., :edges] += change
    smoothed[..., size::size] -= change
    return smoothed.clamp_(0, 255)
