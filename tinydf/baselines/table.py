"""Name of a network, as ``tinydf-train --network`` takes it -> what builds it."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from tinydf.baselines.efficientnet_lite0 import EfficientNetLite0
from tinydf.baselines.faithful import FaithfulTinyDF
from tinydf.baselines.meso4 import Meso4
from tinydf.forgery import TinyDF
from tinydf_runtime.errors import UsageError

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "tinydf": TinyDF,
    "faithful": FaithfulTinyDF,
    "efficientnet-lite0": EfficientNetLite0,
    "meso4": Meso4,
}
"""All map images, N x 3 x H x W, RGB, float, 0..255, sides multiples of 32, to N logits, above 0 for fake, and to the
forgery map's logits, N x H/16 x W/16."""


def build_network(name: str) -> nn.Module:
    """Returns a network with random weights, in training mode.

    Raises:
        UsageError: There is none of this name.
    """
    if name not in NETWORKS:
        raise UsageError(f"network: found {name}, expected one of {', '.join(NETWORKS)}.")
    return NETWORKS[name]()
