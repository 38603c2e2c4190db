"""Features -> forgery map, as the shipped network has it.

Training supervises the forgery map beside the verdict. Networks published without a map get the smallest head that can
learn one, a 1x1 convolution, so that supervision is equal; the verdict does not depend on it.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from tinydf.forgery.noise import CELL_PX


class MapHead(nn.Module):
    """One logit per position, resized to cells of 16 px."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 1, 1)

    def forward(self, features: Tensor, image: Tensor) -> Tensor:
        """Features, N x C x h x w, and their image, N x 3 x H x W -> map logits, N x H/16 x W/16."""
        cells = (image.shape[-2] // CELL_PX, image.shape[-1] // CELL_PX)
        spread: Tensor = functional.interpolate(self.conv(features), cells, mode="bilinear", align_corners=False)
        return spread.squeeze(1)
