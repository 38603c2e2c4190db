"""The TinyDF classifier: an RGB branch (TinyNet -> PAA -> SFM -> KAN head and forgery map) plus a noise branch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tinydf.forgery.aggregation import PyramidAtrousAggregation
from tinydf.forgery.backbone import TinyNet
from tinydf.forgery.fusion import ShuffleFusionMixer
from tinydf.forgery.head import KANHead
from tinydf.forgery.noise import NoiseBranch

# Mean and standard deviation of ImageNet, in 0..255, RGB: the public backbone weights were trained with them.
IMAGE_MEAN = (123.675, 116.28, 103.53)
IMAGE_STD = (58.395, 57.12, 57.375)

TEXTURE_CHANNELS = 64


class TinyDF(nn.Module):
    """Scores face crops as real or fake and maps where they look altered.

    The published design with four changes: PAA keeps every position, SFM's convolutions are grouped, the KAN head works
    on pooled features, and a forgery map is learned beside the verdict. That is the RGB branch. The noise branch
    (``residual`` in the weights) runs at full resolution; its logit is added to the RGB branch's.
    """

    image_mean: Tensor
    image_std: Tensor

    def __init__(self, width: float = 1.0) -> None:
        """Builds a network with random weights.

        Args:
            width: Channels of the RGB branch as a multiple of the shipped network's; more makes a teacher.
        """
        super().__init__()
        self.register_buffer("image_mean", torch.tensor(IMAGE_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("image_std", torch.tensor(IMAGE_STD).view(1, 3, 1, 1), persistent=False)
        self.backbone = TinyNet(width)
        self.aggregation = PyramidAtrousAggregation(self.backbone.shallow_channels, TEXTURE_CHANNELS)
        channels = self.backbone.deep_channels + TEXTURE_CHANNELS
        self.fusion = ShuffleFusionMixer(channels)
        self.head = KANHead(channels)
        self.map_conv = nn.Conv2d(channels, 4, 1)
        self.map_unfold = nn.PixelShuffle(2)
        self.residual = NoiseBranch()

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Scores face crops.

        Args:
            image: N x 3 x H x W, RGB, float, 0..255; sides are multiples of 32.

        Returns:
            N logits, above 0 for fake, and the forgery map's logits, N x H/16 x W/16.
        """
        rgb_logit, rgb_map = self.score_rgb(image)
        noise_logit, noise_map = self.residual(image)
        return rgb_logit + noise_logit, rgb_map + noise_map

    def score_rgb(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Scores crops by the RGB branch alone.

        Args:
            image: As ``forward`` takes it.

        Returns:
            As ``forward``.
        """
        shallow, deep = self.backbone((image - self.image_mean) / self.image_std)
        features = self.fusion(deep, self.aggregation(shallow))
        # Four channels a cell unfold into 2 x 2 cells: twice the resolution from one 1x1 convolution.
        forgery_map = self.map_unfold(self.map_conv(features))
        # The head's splines lose too much in bfloat16, and cost nothing in float32.
        with torch.autocast(features.device.type, enabled=False):
            logit = self.head(features.float())
        return logit, forgery_map.squeeze(1)


class RGBBranch(nn.Module):
    """The RGB branch of a network, to train it alone. Shares the network's weights."""

    def __init__(self, network: TinyDF) -> None:
        super().__init__()
        self._score = network.score_rgb
        for name, child in network.named_children():
            if child is not network.residual:
                self.add_module(name, child)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Scores crops as ``TinyDF.score_rgb``."""
        return self._score(image)
