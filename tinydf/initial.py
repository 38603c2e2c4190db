"""Initial weights of a run: random, ImageNet's, or those of an earlier run."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from tinydf.baselines import build_network
from tinydf.baselines.efficientnet_lite0 import EfficientNetLite0, find_lite0_weights, load_lite0
from tinydf.checkpoint import load_checkpoint
from tinydf.forgery import TinyDF
from tinydf.forgery.backbone import TinyNet
from tinydf.pretrained import fetch_imagenet_weights, find_lite1_weights, is_backbone_file, load_backbone, load_lite1
from tinydf.train_state import Origin
from tinydf_runtime.errors import UsageError
from tinydf_runtime.io.files import sha256_of


def initial_network(init: str, network: str = "tinydf", width: float = 1.0) -> tuple[nn.Module, Origin]:
    """Returns a network with random weights (``none``), ImageNet's (``lite1``, ``imagenet``, ``lite0``) or a file's.

    A file is a checkpoint, or timm's tinynet_a weights for the backbone alone.

    Args:
        init: Where the weights come from.
        network: Which network, see ``NETWORKS``.
        width: Of TinyDF.

    Returns:
        The network, in training mode, and where its weights come from, for the record: a checkpoint's own record is
        part of it, so that a chain of runs can be read from its last file.

    Raises:
        UsageError: The weights are another network's, or there is no such network.
        UnavailableError: A package or a download is missing.
        UnreadableInputError: There is no such file.
        ModelFileError: The file is damaged.
    """
    if init not in ("none", "lite0", "lite1", "imagenet") and not is_backbone_file(Path(init)):
        return _go_on_from(Path(init), network, width)
    built = TinyDF(width) if network == "tinydf" else build_network(network)
    if init == "none":
        return built, None
    if init == "lite0":
        if not isinstance(built, EfficientNetLite0):
            raise UsageError(
                f"--init lite0: goes with --network efficientnet-lite0, found {network}. Give --init lite1."
            )
        path = find_lite0_weights()
        load_lite0(built, path)
        return built, _origin(path)
    backbone = getattr(built, "backbone", None)
    if not isinstance(backbone, TinyNet) or width != 1:
        raise UsageError(
            f"--init {init}: holds the weights of TinyNet-A, which --network {network} --width {width:g} has not. "
            "Give --init none."
        )
    if init == "lite1":
        path = find_lite1_weights()
        load_lite1(backbone, path)
    else:
        path = fetch_imagenet_weights() if init == "imagenet" else Path(init)
        load_backbone(backbone, path)
    return built, _origin(path)


def _go_on_from(path: Path, network: str, width: float) -> tuple[nn.Module, Origin]:
    checkpoint = load_checkpoint(path)
    if checkpoint.network != network:
        raise UsageError(
            f"{path}: is of the network {checkpoint.network}, the run asks for {network}. "
            f"Give --network {checkpoint.network}."
        )
    if checkpoint.width != width:
        raise UsageError(
            f"{path}: is {checkpoint.width} wide, the run asks for {width}. Give --width {checkpoint.width}."
        )
    built = checkpoint.build_network().train()
    return built, {"checkpoint": dict(checkpoint.config), "sha256": checkpoint.spec.checkpoint_sha256}


def _origin(path: Path) -> Origin:
    return {"backbone": path.name, "sha256": sha256_of(path)}
