"""Meso4 (Afchar et al., "MesoNet: a Compact Facial Video Forgery Detection Network", WIFS 2018): 27,977 parameters.

Four convolutions and two dense layers on 256 px; crops of another size are scaled to it. The forgery map is ours.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from tinydf.baselines.map_head import MapHead

SIDE_PX = 256


class Meso4(nn.Module):
    """The published network, and a map head on its third layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(_layer(3, 8, 3), nn.MaxPool2d(2), _layer(8, 8, 5), nn.MaxPool2d(2))
        self.third = nn.Sequential(_layer(8, 16, 5), nn.MaxPool2d(2))
        self.fourth = nn.Sequential(_layer(16, 16, 5), nn.MaxPool2d(4))
        self.verdict = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(0.5),
            nn.Linear(16 * (SIDE_PX // 32) ** 2, 16),
            nn.LeakyReLU(0.1),
            nn.Dropout(0.5),
            nn.Linear(16, 1),
        )
        self.map_head = MapHead(16)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Scores crops; see ``NETWORKS``."""
        scaled = functional.interpolate(image / 255, (SIDE_PX, SIDE_PX), mode="bilinear", align_corners=False)
        features = self.third(self.first(scaled))
        logit: Tensor = self.verdict(self.fourth(features))
        return logit.squeeze(1), self.map_head(features, image)


def _layer(in_channels: int, channels: int, kernel: int) -> nn.Sequential:
    """Returns a convolution that keeps the size; the published order has the normalisation behind the activation."""
    convolution = nn.Conv2d(in_channels, channels, kernel, padding=kernel // 2)
    return nn.Sequential(convolution, nn.ReLU(inplace=True), nn.BatchNorm2d(channels))
