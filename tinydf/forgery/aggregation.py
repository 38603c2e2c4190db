"""PAA, Pyramid Atrous Aggregation: multi-dilation features, downsampled 16x by strided convolutions."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from tinydf.forgery.backbone import activation, depthwise

DILATIONS = (3, 5, 7)


class PyramidAtrousAggregation(nn.Module):
    """Five branches (global mean, 1x1, three dilations) on shallow features, then 16x downsampling.

    The published branches (global mean, 1x1, 3x3 at dilation 3, 5, 7) are kept; the dilated ones are depthwise, a
    fifth of the cost, because the 1x1 convolution behind them mixes the channels. The published network then samples
    its output bilinearly and reads 1.6 % of it; here two strided convolutions, whose windows tile the map, read
    every position.
    """

    def __init__(self, channels: int = 16, out_channels: int = 64) -> None:
        super().__init__()
        self.global_mean = nn.Conv2d(channels, channels, 1)
        self.point = _normalised(nn.Conv2d(channels, channels, 1, bias=False))
        self.atrous = nn.ModuleList(_normalised(depthwise(channels, 3, dilation=dilation)) for dilation in DILATIONS)
        windows = 2 + len(DILATIONS)
        self.merge = nn.Conv2d(windows * channels, channels, 1, bias=False)
        self.merge_bn = nn.BatchNorm2d(channels)
        self.act = activation()
        self.reduce = nn.Sequential(
            _normalised(nn.Conv2d(channels, 2 * channels, 4, stride=4, bias=False)),
            _normalised(nn.Conv2d(2 * channels, out_channels, 4, stride=4, bias=False)),
        )

    def forward(self, shallow: Tensor) -> Tensor:
        """N x 16 x H x W (sides multiples of 16) -> N x 64 x H/16 x W/16."""
        mean = self.global_mean(functional.adaptive_avg_pool2d(shallow, 1)).expand_as(shallow)
        # An expanded tensor has no layout of its own: joined as it is, all windows would be copied to another layout.
        mean = mean.contiguous(memory_format=torch.channels_last)
        windows = [mean, self.point(shallow), *(branch(shallow) for branch in self.atrous)]
        merged: Tensor = self.merge_bn(self.merge(torch.cat(windows, 1)))
        reduced: Tensor = self.reduce(self.act(merged + shallow))
        return reduced


def _normalised(convolution: nn.Conv2d) -> nn.Sequential:
    return nn.Sequential(convolution, nn.BatchNorm2d(convolution.out_channels), activation())
