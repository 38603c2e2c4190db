"""TinyDF as it was published, with one change: its head works on pooled features.

Read from the public repository ILoveICIC/TinyDF (2025). Its head flattens 336 x 7 x 7 features into a layer of 337 M
parameters; pooling is defined there and never called, and called here. All else is kept, faults too: PAA's map at half
the image's size is sampled at 1.6 % of its positions, SFM's shuffled channels meet convolutions over all channels, and
nothing brings the splines' inputs into their grid. Two parameters a spline edge that only multiply each other are one
here, and two classes are one logit. 50 M parameters, nearly all of them the head's.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from tinydf.baselines.map_head import MapHead
from tinydf.forgery.backbone import TinyNet
from tinydf.forgery.head import KANLayer
from tinydf.forgery.model import IMAGE_MEAN, IMAGE_STD

DILATIONS = (3, 5, 7)
SHUFFLE_GROUPS = 4
HIDDEN = 2048


class FaithfulTinyDF(nn.Module):
    """The published network with pooled head, and a map head on its fused features."""

    image_mean: Tensor
    image_std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("image_mean", torch.tensor(IMAGE_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("image_std", torch.tensor(IMAGE_STD).view(1, 3, 1, 1), persistent=False)
        self.backbone = TinyNet()
        _use_silu(self.backbone)
        channels = self.backbone.deep_channels + self.backbone.shallow_channels
        self.aggregation = PublishedAggregation(self.backbone.shallow_channels)
        self.fusion = PublishedFusion(channels)
        self.head = nn.Sequential(
            KANLayer(channels, HIDDEN),
            nn.ReLU(),
            nn.Dropout(0.2),
            KANLayer(HIDDEN, HIDDEN),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Linear(HIDDEN, 1),
        )
        self.map_head = MapHead(channels)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Scores crops; see ``NETWORKS``."""
        shallow, deep = self.backbone((image - self.image_mean) / self.image_std)
        features = self.fusion(deep, self.aggregation(shallow))
        # As in the shipped network: splines lose too much in half precision.
        with torch.autocast(features.device.type, enabled=False):
            logit: Tensor = self.head(features.float().mean((2, 3)))
        return logit.squeeze(1), self.map_head(features, image)


class PublishedAggregation(nn.Module):
    """Global mean, 1x1 and three dilated 3x3 convolutions, concatenated, projected by a 1x1 and added to the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mean = nn.Conv2d(channels, channels, 1)
        self.point = nn.Conv2d(channels, channels, 1)
        self.atrous = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation) for dilation in DILATIONS
        )
        self.join = nn.Conv2d((2 + len(DILATIONS)) * channels, channels, 1)

    def forward(self, shallow: Tensor) -> Tensor:
        """N x C x H x W -> the same shape."""
        mean = self.mean(functional.adaptive_avg_pool2d(shallow, 1)).expand_as(shallow)
        views = [mean, self.point(shallow), *(branch(shallow) for branch in self.atrous)]
        joined: Tensor = self.join(torch.cat(views, 1))
        return joined + shallow


class PublishedFusion(nn.Module):
    """Deep and sampled shallow features, shuffled; three blocks in a row, two dilated ones beside, joined."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.shuffle = nn.ChannelShuffle(SHUFFLE_GROUPS)
        self.first, self.second, self.third = (_block(channels, 1) for _ in range(3))
        self.first_dilated, self.second_dilated = _block(channels, 2), _block(channels, 3)
        self.join = nn.Sequential(nn.Conv2d(3 * channels, channels, 1), nn.BatchNorm2d(channels), nn.ReLU())

    def forward(self, deep: Tensor, shallow: Tensor) -> Tensor:
        """N x 320 x h x w and N x 16 x H x W -> N x 336 x h x w."""
        sampled = functional.interpolate(shallow, deep.shape[2:], mode="bilinear", align_corners=False)
        first = self.first(self.shuffle(torch.cat((deep, sampled), 1)))
        second = self.second(first)
        views = (self.third(second), self.first_dilated(first), self.second_dilated(second))
        joined: Tensor = self.join(torch.cat(views, 1))
        return joined


def _block(channels: int, dilation: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation, groups=channels),
        nn.Conv2d(channels, channels, 1),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
    )


def _use_silu(module: nn.Module) -> None:
    """Replaces each ReLU6, which this project's TinyNet has for the sake of 8-bit engines, by the published SiLU."""
    for name, child in module.named_children():
        if isinstance(child, nn.ReLU6):
            setattr(module, name, nn.SiLU(inplace=True))
        else:
            _use_silu(child)
