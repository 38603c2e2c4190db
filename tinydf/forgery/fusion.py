"""SFM, Shuffle Fusion Mixer: deep features and aggregated texture become one map."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tinydf.forgery.backbone import activation, depthwise

GROUPS = 8


class ShuffleBlock(nn.Module):
    """Channel shuffle, depthwise 3x3, grouped 1x1.

    Grouping is what makes the shuffle worth having: a 1x1 convolution over all channels mixes them anyway (Zhang et
    al., ShuffleNet, CVPR 2018).
    """

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.shuffle = nn.ChannelShuffle(GROUPS)
        self.conv_dw = depthwise(channels, 3, dilation=dilation)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv_pw = nn.Conv2d(channels, channels, 1, groups=GROUPS, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.act = activation()

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W -> the same shape."""
        y: Tensor = self.act(self.bn2(self.conv_pw(self.bn1(self.conv_dw(self.shuffle(x))))))
        return y


class ShuffleFusionMixer(nn.Module):
    """Three blocks in a row and two dilated ones beside them, joined by a grouped 1x1 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block1 = ShuffleBlock(channels, dilation=1)
        self.block2 = ShuffleBlock(channels, dilation=1)
        self.block3 = ShuffleBlock(channels, dilation=1)
        self.block1_dilated = ShuffleBlock(channels, dilation=2)
        self.block2_dilated = ShuffleBlock(channels, dilation=3)
        self.shuffle = nn.ChannelShuffle(3)
        self.join = nn.Conv2d(3 * channels, channels, 1, groups=GROUPS, bias=False)
        self.bn = nn.BatchNorm2d(channels)
        self.act = activation()

    def forward(self, deep: Tensor, texture: Tensor) -> Tensor:
        """Returns the fused features, N x 384 x h x w, of deep ones, N x 320 x h x w, and texture, N x 64 x h x w."""
        x1 = self.block1(torch.cat((deep, texture), 1))
        x2 = self.block2(x1)
        x3 = self.block3(x2)
        views = torch.cat((x3, self.block1_dilated(x1), self.block2_dilated(x2)), 1)
        # The shuffle interleaves the three views, so that each group of the join sees all of them.
        mixed: Tensor = self.act(self.bn(self.join(self.shuffle(views))))
        return mixed
