"""Noise-residual features in a form that engines compute twice as fast; equal but for float32 rounding."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from tinydf.forgery.noise import CELL_PX, COLOUR_STD, SCALES, SMALLEST_ENERGY, NoiseBranch

_BLOCK = 16
"""Channels that engines compute at once; a block that is not full makes them copy the map."""


class MergedNoiseBranch(NoiseBranch):
    """The noise branch with its fixed filters written otherwise.

    - Colours and filters are both linear, so they are one convolution. All filters ignore what is constant, and with
      it the offset of the colours.
    - The mean of |r| over a cell is twice the mean of its positive part less the mean of r. The positive part is an
      activation, which engines apply while they convolve; the mean of r is linear, and computed for each cell alone.
    """

    def __init__(self, trained: NoiseBranch) -> None:
        """Takes over the trained branch's layers; the branch itself stays as it is."""
        nn.Module.__init__(self)
        for name, layer in trained.named_children():
            self.add_module(name, layer)
        bank = trained.filters.view(len(trained.colour), -1, *trained.filters.shape[2:])
        filters = (trained.colour[:, None, :, 0, 0, None, None] * bank[:, :, None]).flatten(0, 1)
        assert filters.sum((1, 2, 3)).abs().max() < 1e-6, "a residual filter sees what is constant"
        count = len(filters)
        full = -(-count // _BLOCK) * _BLOCK
        self.merged = nn.Parameter(torch.cat((filters, filters.new_zeros(full - count, *filters.shape[1:]))))
        self.doubling = nn.Parameter(2 * torch.eye(count, full, dtype=filters.dtype)[:, :, None, None])
        self.less_means = nn.ParameterList([-_spread(filters, CELL_PX // scale) for scale in SCALES])
        self.smallest = nn.Parameter(filters.new_full((count,), SMALLEST_ENERGY))
        self.tint = nn.Parameter(trained.colour / COLOUR_STD)

    def features(self, image: Tensor) -> Tensor:
        """Returns each cell's colour and log energies, as ``NoiseBranch.features``."""
        logs = []
        scaled, reached = image, 1
        for scale, less_mean in zip(SCALES, self.less_means, strict=True):
            scaled, reached = _shrink(scaled, scale // reached), scale
            cell = CELL_PX // scale
            padded = functional.pad(scaled, (1, 1, 1, 1), mode="replicate")
            positive = functional.avg_pool2d(functional.conv2d(padded, self.merged).relu(), cell)
            rest = functional.conv2d(padded, less_mean, self.smallest, stride=cell)
            logs.append((functional.conv2d(positive, self.doubling) + rest).log())
        colour = functional.conv2d(_shrink(scaled, CELL_PX // reached) - 128, self.tint)
        return torch.cat((colour, *logs), 1)


def _shrink(image: Tensor, factor: int) -> Tensor:
    return functional.avg_pool2d(image, factor) if factor > 1 else image


def _spread(filters: Tensor, cell: int) -> Tensor:
    """Returns filters that give at once the mean of what ``filters`` give over a cell x cell field."""
    count, colours, height, width = filters.shape
    spread = filters.new_zeros(count, colours, cell + height - 1, cell + width - 1, dtype=torch.float64)
    for y in range(cell):
        for x in range(cell):
            spread[:, :, y : y + height, x : x + width] += filters / cell**2
    return spread.to(filters.dtype)
