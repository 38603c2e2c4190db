"""RGB <-> CIE L*a*b*, and one face given another's colours in it."""

from __future__ import annotations

import torch
from torch import Tensor

from tinydf.data.ondevice.photometry import as_levels

# sRGB's primaries in XYZ, each row divided by the white point D65's share.
TO_XYZ = ((0.433953, 0.376219, 0.189828), (0.212671, 0.715160, 0.072169), (0.017758, 0.109477, 0.872766))
KNEE = 0.008856
LEVELS_OF_LIGHTNESS = 255 / 100
"""An 8-bit Lab image has 255 levels of L*; those are what the ``+ 1`` in ``match_colour`` is in."""


def match_colour(source: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Gives sources their targets' mean and spread of each Lab channel inside the masks (Reinhard et al., 2001).

    Args:
        source: N x 3 x H x W, RGB, levels of 0..255.
        target: The same.
        mask: N x 1 x H x W; inside is above half of its largest value.
    """
    inside = (mask > 0.5 * mask.amax((2, 3), keepdim=True)).float()
    pixels = inside.sum((2, 3), keepdim=True).clamp(min=1)
    source_lab, target_lab = to_lab(source), to_lab(target)
    source_mean, source_spread = _moments(source_lab, inside, pixels)
    target_mean, target_spread = _moments(target_lab, inside, pixels)
    return from_lab((source_lab - source_mean) * ((target_spread + 1) / (source_spread + 1)) + target_mean)


def to_lab(images: Tensor) -> Tensor:
    """Returns Lab, L* as 0..255, of N x 3 x H x W, RGB, levels of 0..255."""
    unit = images / 255
    linear = torch.where(unit > 0.04045, ((unit + 0.055) / 1.055) ** 2.4, unit / 12.92)
    matrix = torch.tensor(TO_XYZ).to(images.device, non_blocking=True)
    xyz = torch.einsum("ij,njhw->nihw", matrix, linear)
    x, y, z = torch.where(xyz > KNEE, xyz.clamp(min=KNEE) ** (1 / 3), 7.787 * xyz + 16 / 116).unbind(1)
    return torch.stack(((116 * y - 16) * LEVELS_OF_LIGHTNESS, 500 * (x - y), 200 * (y - z)), dim=1)


def from_lab(lab: Tensor) -> Tensor:
    """Undoes ``to_lab``; colours that RGB lacks are clipped."""
    lightness, a, b = lab.unbind(1)
    y = (lightness.clamp(0, 255) / LEVELS_OF_LIGHTNESS + 16) / 116
    curved = torch.stack((y + a / 500, y, y - b / 200), dim=1)
    xyz = torch.where(curved > KNEE ** (1 / 3), curved**3, (curved - 16 / 116) / 7.787)
    matrix = torch.linalg.inv(torch.tensor(TO_XYZ)).to(lab.device, non_blocking=True)
    linear = torch.einsum("ij,njhw->nihw", matrix, xyz).clamp(min=0)
    return as_levels(255 * torch.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear))


def _moments(lab: Tensor, inside: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
    mean = (lab * inside).sum((2, 3), keepdim=True) / pixels
    variance = ((lab - mean) ** 2 * inside).sum((2, 3), keepdim=True) / pixels
    return mean, variance.sqrt()
