"""The noise branch: log energies of noise residuals in every cell, at three scales, and a small network on them.

A forged region was resampled, smoothed, recoloured or compressed apart from its surround, so the ratio of their noise
residuals gives it away (Fridrich & Kodovsky, "Rich Models for Steganalysis of Digital Images", IEEE TIFS 2012, for the
residuals; Cozzolino et al., "Recasting Residual-based Local Descriptors as Convolutional Neural Networks", IH&MMSec
2017, for learning on them). On a logarithmic scale a ratio is a difference, which a small network finds in minutes.
How noisy a whole crop is tells about cameras and codecs, not about forgeries: each energy counts against its own mean.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

CELL_PX = 16
SCALES = (1, 2, 4)
SMALLEST_ENERGY = 0.1
"""Grey levels added before the logarithm: a tenth of the quantisation step of 8-bit pictures."""
# BT.601: luma and two colour differences.
COLOUR = ((0.299, 0.587, 0.114), (-0.169, -0.331, 0.5), (0.5, -0.419, -0.081))
FILTERS = (
    ((0, 0, 0), (-0.5, 1, -0.5), (0, 0, 0)),
    ((0, -0.5, 0), (0, 1, 0), (0, -0.5, 0)),
    ((-0.25, 0.5, -0.25), (0.5, -1, 0.5), (-0.25, 0.5, -0.25)),
    ((0, 0, 0), (0, 1, -1), (0, 0, 0)),
    ((0, 0, 0), (0, 1, 0), (0, -1, 0)),
)
"""Second differences along both axes, their product, and first differences along both axes."""
COLOUR_STD = 64.0


class NoiseBranch(nn.Module):
    """Logit and forgery map from noise-residual features alone, added to those of the RGB branch."""

    colour: Tensor
    filters: Tensor

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.register_buffer("colour", torch.tensor(COLOUR).view(3, 3, 1, 1), persistent=False)
        bank = torch.tensor(FILTERS, dtype=torch.float32).unsqueeze(1)
        self.register_buffer("filters", bank.repeat(3, 1, 1, 1), persistent=False)
        channels = 3 + len(SCALES) * 3 * len(FILTERS)
        # Dilated: the face and its surround are far apart.
        self.compare = nn.Sequential(
            nn.BatchNorm2d(channels),
            _block(channels, width, 1),
            _block(width, width, 1),
            _block(width, width, 2),
            _block(width, width, 3),
        )
        self.map_conv = nn.Conv2d(width, 1, 1)
        self.verdict = nn.Linear(2 * width, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Scores crops.

        Args:
            image: N x 3 x H x W, RGB, float, 0..255; sides are multiples of 16.

        Returns:
            N logits, and the forgery map's logits, N x H/16 x W/16.
        """
        # Pixels are whole numbers up to 255: bfloat16 would round their differences away.
        with torch.autocast(image.device.type, enabled=False):
            return self.score(self.features(image))

    def features(self, image: Tensor) -> Tensor:
        """Returns noise-residual features: N x 48 x H/16 x W/16, each cell's colour and log energies.

        Args:
            image: N x 3 x H x W, RGB, float, 0..255.
        """
        ycc = functional.conv2d(image - 128, self.colour)
        parts = [functional.avg_pool2d(ycc, CELL_PX) / COLOUR_STD]
        for scale in SCALES:
            scaled = functional.avg_pool2d(ycc, scale) if scale > 1 else ycc
            # A border of zeros would be the strongest edge in the picture.
            padded = functional.pad(scaled, (1, 1, 1, 1), mode="replicate")
            residual = functional.conv2d(padded, self.filters, groups=3).abs()
            energy = functional.avg_pool2d(residual, CELL_PX // scale)
            parts.append((energy + SMALLEST_ENERGY).log())
        return torch.cat(parts, 1)

    def score(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Returns N logits and the forgery map's logits, N x h x w, from N x 48 x h x w features."""
        compared: Tensor = self.compare(features - functional.adaptive_avg_pool2d(features, 1))
        pooled = torch.cat((compared.mean((2, 3)), compared.amax((2, 3))), 1)
        return self.verdict(pooled).squeeze(1), self.map_conv(compared).squeeze(1)


def _block(in_channels: int, out_channels: int, dilation: int) -> nn.Sequential:
    convolution = nn.Conv2d(in_channels, out_channels, 3, padding=dilation, dilation=dilation, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(out_channels), nn.ReLU6(inplace=True))
