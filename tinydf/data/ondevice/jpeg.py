"""JPEG on the device: its colours, transform and tables, without the entropy coding, which loses nothing."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from tinydf.data.ondevice.blocks import double, halve, restore_blocks, transform_blocks
from tinydf.data.ondevice.photometry import as_levels
from tinydf.data.ondevice.randomness import Indices, Numbers, to_device

# ITU-T T.81, tables K.1 and K.2.
LUMINANCE = np.array(
    (
        (16, 11, 10, 16, 24, 40, 51, 61),
        (12, 12, 14, 19, 26, 58, 60, 55),
        (14, 13, 16, 24, 40, 57, 69, 56),
        (14, 17, 22, 29, 51, 87, 80, 62),
        (18, 22, 37, 56, 68, 109, 103, 77),
        (24, 35, 55, 64, 81, 104, 113, 92),
        (49, 64, 78, 87, 103, 121, 120, 101),
        (72, 92, 95, 98, 112, 100, 103, 99),
    ),
    np.float64,
)
CHROMINANCE = np.full((8, 8), 99.0)
CHROMINANCE[:4, :4] = ((17, 18, 24, 47), (18, 21, 26, 66), (24, 26, 56, 99), (47, 66, 99, 99))


def jpeg(images: Tensor, quality: Numbers | Indices) -> Tensor:
    """Sends images through JPEG with colour at half the resolution, the default of libjpeg.

    Args:
        images: N x ... x 3 x H x W, RGB, levels of 0..255; sides are multiples of 16.
        quality: N: 1 to 100 each, scaling the tables as libjpeg does.

    Returns:
        The same kind.
    """
    planes = images.reshape(-1, *images.shape[-3:])
    each = len(planes) // len(images)
    red, green, blue = planes.unbind(1)
    luminance = (0.299 * red + 0.587 * green + 0.114 * blue).round_()
    chroma = torch.stack(
        (
            128 - 0.168735892 * red - 0.331264108 * green + 0.5 * blue,
            128 + 0.5 * red - 0.418687589 * green - 0.081312411 * blue,
        ),
        dim=1,
    ).round_()
    qualities = np.repeat(quality.astype(np.float64), each)
    bright = _quantize(luminance.unsqueeze(1), scaled_table(LUMINANCE, qualities)).squeeze(1)
    from_blue, from_red = (double(_quantize(halve(chroma), scaled_table(CHROMINANCE, qualities))) - 128).unbind(1)
    decoded = torch.stack(
        (
            bright + 1.402 * from_red,
            bright - 0.344136286 * from_blue - 0.714136286 * from_red,
            bright + 1.772 * from_blue,
        ),
        dim=1,
    )
    return as_levels(decoded).reshape(images.shape)


def scaled_table(table: Numbers, quality: Numbers) -> Numbers:
    """Returns N x 8 x 8: a table at each quality, as libjpeg's ``jpeg_quality_scaling`` has it."""
    percent = np.where(quality < 50, np.floor(5000 / quality), 200 - 2 * quality)
    return np.clip(np.floor((table * percent[:, None, None] + 50) / 100), 1, 255)


def _quantize(planes: Tensor, tables: Numbers) -> Tensor:
    """Rounds each block's coefficients to multiples of a table's steps."""
    count, channels, height, width = planes.shape
    steps = to_device(tables, planes.device)[:, None, None, :, None, :]
    blocks = transform_blocks(planes - 128, 8).reshape(count, channels, height // 8, 8, width // 8, 8)
    kept = (blocks / steps).round_() * steps
    return as_levels(restore_blocks(kept.reshape(planes.shape), 8) + 128)
