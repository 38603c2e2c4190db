"""TinyNet-A: the EfficientNet-style feature extractor of TinyDF.

Layout and multipliers: Han et al., "Model Rubik's Cube: Twisting Resolution, Depth and Width for TinyNets"
(NeurIPS 2020). Parameter names and shapes equal timm's ``tinynet_a`` without its classifier, so that the public
ImageNet weights load by name.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

STEM_CHANNELS = 32


class Stage(NamedTuple):
    """One row of the TinyNet-A table."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int


# EfficientNet-B0's table with depth x 1.2 (rounded as timm does) and width x 1.0.
STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(4, 3, 2, 6, 80),
    Stage(4, 5, 1, 6, 112),
    Stage(5, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


def activation() -> nn.Module:
    """The activation used throughout.

    ReLU6 instead of the paper's SiLU: its bounded range survives 8-bit quantisation and it trains and runs faster.
    """
    return nn.ReLU6(inplace=True)


class DepthwiseConv2d(nn.Conv2d):
    """A convolution with one filter a channel, in float32 even under CPU autocast.

    oneDNN's bfloat16 gradient of a depthwise convolution is several times slower than its float32 one.
    """

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W -> N x C x H/stride x W/stride."""
        if torch.is_autocast_enabled("cpu"):
            with torch.autocast("cpu", enabled=False):
                return super().forward(x.float())
        return super().forward(x)


def depthwise(channels: int, kernel: int, stride: int = 1, dilation: int = 1) -> DepthwiseConv2d:
    """Returns a depthwise convolution without bias whose output is ``stride`` times smaller than its input."""
    padding = kernel // 2 * dilation
    return DepthwiseConv2d(channels, channels, kernel, stride, padding, dilation, groups=channels, bias=False)


class SqueezeExcite(nn.Module):
    """Channel gate from globally pooled features (Hu et al., CVPR 2018)."""

    def __init__(self, channels: int, reduced: int) -> None:
        super().__init__()
        self.conv_reduce = nn.Conv2d(channels, reduced, 1)
        self.act = activation()
        self.conv_expand = nn.Conv2d(reduced, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W -> the same, each channel scaled by 0..1."""
        # As a pooling layer: engines have an 8-bit kernel for it, and none for a mean over axes.
        gate = self.conv_expand(self.act(self.conv_reduce(functional.adaptive_avg_pool2d(x, 1))))
        gated: Tensor = x * gate.sigmoid()
        return gated


class DepthwiseSeparable(nn.Module):
    """Depthwise convolution, gate, pointwise projection."""

    def __init__(self, in_channels: int, stage: Stage) -> None:
        super().__init__()
        self.conv_dw = depthwise(in_channels, stage.kernel, stage.stride)
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.act = activation()
        self.se = SqueezeExcite(in_channels, in_channels // 4)
        self.conv_pw = nn.Conv2d(in_channels, stage.channels, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(stage.channels)

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W -> N x C' x H/stride x W/stride."""
        x = self.se(self.act(self.bn1(self.conv_dw(x))))
        projected: Tensor = self.bn2(self.conv_pw(x))
        return projected


class InvertedResidual(nn.Module):
    """Pointwise expansion, depthwise convolution, gate, linear projection (MobileNetV2 with a gate)."""

    def __init__(self, in_channels: int, stage: Stage, stride: int) -> None:
        super().__init__()
        expanded = in_channels * stage.expansion
        self.conv_pw = nn.Conv2d(in_channels, expanded, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(expanded)
        self.act1 = activation()
        self.conv_dw = depthwise(expanded, stage.kernel, stride)
        self.bn2 = nn.BatchNorm2d(expanded)
        self.act2 = activation()
        self.se = SqueezeExcite(expanded, in_channels // 4)
        self.conv_pwl = nn.Conv2d(expanded, stage.channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(stage.channels)
        self.has_skip = stride == 1 and in_channels == stage.channels

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W -> N x C' x H/stride x W/stride."""
        y: Tensor = self.act1(self.bn1(self.conv_pw(x)))
        y = self.se(self.act2(self.bn2(self.conv_dw(y))))
        y = self.bn3(self.conv_pwl(y))
        return x + y if self.has_skip else y


class TinyNet(nn.Module):
    """TinyNet-A features: a shallow map for texture and a deep one."""

    def __init__(self, width: float = 1.0) -> None:
        """Builds the extractor; ``width`` multiplies its channels."""
        super().__init__()
        stem_channels = _widened(STEM_CHANNELS, width)
        stages = [stage._replace(channels=_widened(stage.channels, width)) for stage in STAGES]
        self.shallow_channels, self.deep_channels = stages[0].channels, stages[-1].channels
        self.conv_stem = nn.Conv2d(3, stem_channels, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(stem_channels)
        self.act1 = activation()
        self.blocks = _build_stages(stem_channels, stages)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Extracts features.

        Args:
            image: N x 3 x H x W, RGB, normalised; H and W are multiples of 32.

        Returns:
            f1, N x 16 x H/2 x W/2, and f5, N x 320 x H/32 x W/32.
        """
        shallow = self.blocks[0](self.act1(self.bn1(self.conv_stem(image))))
        deep = shallow
        for stage in list(self.blocks)[1:]:
            deep = stage(deep)
        return shallow, deep


def _widened(channels: int, width: float) -> int:
    return round(channels * width / 8) * 8


def _build_stages(stem_channels: int, table: list[Stage]) -> nn.Sequential:
    stages = [nn.Sequential(DepthwiseSeparable(stem_channels, table[0]))]
    in_channels = table[0].channels
    for stage in table[1:]:
        blocks: list[nn.Module] = []
        for index in range(stage.repeats):
            stride = stage.stride if index == 0 else 1
            blocks.append(InvertedResidual(in_channels, stage, stride))
            in_channels = stage.channels
        stages.append(nn.Sequential(*blocks))
    return nn.Sequential(*stages)
