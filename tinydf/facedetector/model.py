"""The face detector network: image -> score, box and five points for every cell of three grids.

The design is YuNet's (Wu, Peng and Yu: "YuNet: a tiny millisecond-level face detector", 2023), written from scratch:
depthwise separable units, a feature pyramid that adds, anchor-free heads. Most of the work is done at stride 8 and
deeper, where a unit is cheap.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

STRIDES = (8, 16, 32)
# One head channel each for class and objectness, 4 for the box, 10 for five points.
HEAD_CHANNELS = 16


class Predictions(NamedTuple):
    """Decoded output for N images and P cells (the grids of strides 8, 16 and 32, row by row, one after another).

    Attributes:
        class_logits: N x P, how well the box fits a face (trained towards the IoU).
        objectness_logits: N x P, whether a face is here.
        boxes_xyxy: N x P x 4, pixels of the input.
        landmarks: N x P x 5 x 2, pixels of the input: right eye, left eye, nose tip, right and left mouth corner.
    """

    class_logits: Tensor
    objectness_logits: Tensor
    boxes_xyxy: Tensor
    landmarks: Tensor

    @property
    def scores(self) -> Tensor:
        """N x P, 0..1: the geometric mean of both probabilities."""
        return (self.class_logits.sigmoid() * self.objectness_logits.sigmoid()).sqrt()


class SeparableUnit(nn.Sequential):
    """Pointwise then depthwise 3 x 3 convolution; the last unit of a head goes without norm and activation."""

    def __init__(self, in_channels: int, out_channels: int, activate: bool = True) -> None:
        layers: list[nn.Module] = [
            # The batch norm that follows brings the bias.
            nn.Conv2d(in_channels, out_channels, 1, bias=not activate),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, groups=out_channels, bias=not activate),
        ]
        if activate:
            layers += [nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True)]
        super().__init__(*layers)


class FaceDetectorNet(nn.Module):
    """Finds faces of 10 px to full frame in one pass.

    Args:
        stem_channels: Channels at stride 2.
        early_channels: Channels at stride 4.
        channels: Channels at stride 8 and deeper.
    """

    def __init__(self, stem_channels: int = 16, early_channels: int = 48, channels: int = 96) -> None:
        super().__init__()
        self.widths = {"stem_channels": stem_channels, "early_channels": early_channels, "channels": channels}
        self.stem = nn.Sequential(
            nn.Conv2d(3, stem_channels, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(stem_channels),
            nn.ReLU(inplace=True),
            SeparableUnit(stem_channels, stem_channels),
            nn.MaxPool2d(2),
        )
        self.stride_8 = nn.Sequential(
            SeparableUnit(stem_channels, early_channels),
            SeparableUnit(early_channels, early_channels),
            nn.MaxPool2d(2),
            SeparableUnit(early_channels, channels),
            SeparableUnit(channels, channels),
            SeparableUnit(channels, channels),
        )
        self.stride_16 = nn.Sequential(
            nn.MaxPool2d(2), SeparableUnit(channels, channels), SeparableUnit(channels, channels)
        )
        self.stride_32 = nn.Sequential(
            nn.MaxPool2d(2), SeparableUnit(channels, channels), SeparableUnit(channels, channels)
        )
        self.laterals = nn.ModuleList(SeparableUnit(channels, channels) for _ in STRIDES)
        # Class, objectness, box and points share one unit: separable layers side by side are one wider layer.
        self.heads = nn.ModuleList(
            nn.Sequential(
                SeparableUnit(channels, channels),
                SeparableUnit(channels, HEAD_CHANNELS, activate=False),
            )
            for _ in STRIDES
        )
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for module in self.heads.modules():
            if isinstance(module, nn.Conv2d) and module.groups == HEAD_CHANNELS and module.bias is not None:
                nn.init.normal_(module.weight, std=0.1)
                # Start at a score of about .01 everywhere: nearly every cell is background.
                nn.init.constant_(module.bias[:2], -4.6)

    def features(self, images: Tensor) -> list[Tensor]:
        """Returns the raw head outputs, N x 16 x h x w for strides 8, 16 and 32.

        Args:
            images: N x 3 x H x W, BGR, float, 0..255; H and W multiples of 32.
        """
        # Without subtracting a mean, black padding and a convolution's own padding are the same to the network.
        c3 = self.stride_8(self.stem(images / 64.0))
        c4 = self.stride_16(c3)
        p5 = self.laterals[2](self.stride_32(c4))
        p4 = self.laterals[1](c4 + nn.functional.interpolate(p5, scale_factor=2.0, mode="nearest"))
        p3 = self.laterals[0](c3 + nn.functional.interpolate(p4, scale_factor=2.0, mode="nearest"))
        return [head(level) for head, level in zip(self.heads, (p3, p4, p5), strict=True)]

    def forward(self, images: Tensor) -> Predictions:
        """Returns the decoded predictions for N x 3 x H x W BGR images, float, 0..255; H and W multiples of 32."""
        return decode(self.features(images))


def cell_grid(height: int, width: int, stride: int, device: torch.device) -> Tensor:
    """Returns the upper left corners of one grid's cells, (h * w) x 2 (x, y), float32, in pixels of the input."""
    rows = torch.arange(height, device=device, dtype=torch.float32)
    columns = torch.arange(width, device=device, dtype=torch.float32)
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack((x, y), -1).reshape(-1, 2) * stride


def decode(levels: list[Tensor]) -> Predictions:
    """Returns boxes and points in pixels from raw head outputs, N x 16 x h x w for each stride.

    Centre = corner of the cell + d * stride, size = exp(d) * stride, point = corner + d * stride.
    """
    parts: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
    for stride, level in zip(STRIDES, levels, strict=True):
        n, _, h, w = level.shape
        raw = level.float().permute(0, 2, 3, 1).reshape(n, -1, HEAD_CHANNELS)
        corners = cell_grid(h, w, stride, level.device)
        centre = corners + raw[..., 2:4] * stride
        # Random weights may ask for e^100 px; a face is never wider than e^7 cells.
        half = raw[..., 4:6].clamp(max=7.0).exp() * (stride / 2)
        points = corners[:, None, :] + raw[..., 6:].reshape(n, -1, 5, 2) * stride
        parts.append((raw[..., 0:1], raw[..., 1:2], torch.cat((centre - half, centre + half), -1), points))
    class_logits, objectness_logits, boxes, points = (torch.cat(part, 1) for part in zip(*parts, strict=True))
    return Predictions(class_logits[..., 0], objectness_logits[..., 0], boxes, points)


def cell_strides(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Returns the cells' centres (P x 2, pixels) and strides (P) for an image of the given size in pixels."""
    grids = [cell_grid(height // s, width // s, s, device) for s in STRIDES]
    strides = torch.cat([torch.full((len(g),), float(s), device=device) for g, s in zip(grids, STRIDES, strict=True)])
    return torch.cat(grids) + strides[:, None] / 2, strides
