"""Settings of a training run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from tinydf_runtime.errors import UsageError
from tinydf_runtime.faces.crop import CropConfig

Method: TypeAlias = Literal["selfblend", "supervised", "both"]
Part: TypeAlias = Literal["whole", "deep", "residual"]
Network: TypeAlias = Literal["tinydf", "faithful", "efficientnet-lite0", "meso4"]
"""The names in ``baselines.NETWORKS``, here for those who do without PyTorch."""


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Settings of a run; recorded in its checkpoint.

    Attributes:
        seed: Seed of initial weights and of every sample.
        steps: Optimiser steps.
        batch_pairs: Real-forged pairs in a step, over all processes; an even number on each, since a forgery and its
            original are never in one batch (see ``twins``): a step is two passes.
        patch_px: Side of the window of each 224 px crop that is trained on; a multiple of 32.
        image_px: Side to which larger windows are scaled down over the first ``small_share`` of the steps; a multiple
            of 32. Small images teach coarse traces sooner.
        small_share: Share of the steps at ``image_px``; the rest is at full size.
        learning_rate: Peak of the cosine schedule.
        weight_decay: Of AdamW, for weights alone.
        warmup_share: Share of the steps over which the learning rate rises.
        easy_share: Share of the pairs that the curriculum takes, over which forgeries grow from coarse to subtle.
        ema_decay: Of the averaged weights, which are the ones kept.
        map_weight: Weight of the forgery map's loss against the verdict's.
        validate_every: Steps between two validations, each followed by a saved state.
        precision: Fabric's name, such as 32-true or bf16-mixed.
        method: Forgeries made from real pictures (``selfblend``), those of a prepared set (``supervised``), or half
            of each.
        part: What learns: the noise branch alone (``residual``), which takes minutes and comes first; the RGB branch
            alone (``deep``), so that neither leans on the other; or the ``whole`` network, whose logits add up.
        without: Forgery types to leave out, see ``data/forgery_types/table.py``.
        network: ``tinydf``, or one of others to compare it with.
        width: Channels of TinyDF as a multiple of the shipped one's; more for a teacher.
        distill_weight: Weight of agreeing with the teacher against agreeing with the labels, 0..1.
    """

    seed: int = 0
    steps: int = 20_000
    batch_pairs: int = 32
    patch_px: int = 224
    image_px: int = 224
    small_share: float = 0.5
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup_share: float = 0.03
    easy_share: float = 0.3
    ema_decay: float = 0.999
    map_weight: float = 1.0
    validate_every: int = 500
    precision: str = "32-true"
    method: Method = "selfblend"
    part: Part = "whole"
    without: list[str] = field(default_factory=list)
    network: Network = "tinydf"
    width: float = 1.0
    distill_weight: float = 0.5

    def side_px(self, step: int) -> int:
        """Returns the largest side of an image at a step, counted from 1."""
        return self.image_px if step <= self.small_share * self.steps else CropConfig().side_px

    def __post_init__(self) -> None:
        for what, side_px in (("patches", self.patch_px), ("images", self.image_px)):
            if side_px % 32:
                raise UsageError(f"{what} of {side_px} px: must be a multiple of 32, which the network shrinks by.")
        if self.network != "tinydf" and (self.part != "whole" or self.width != 1):
            raise UsageError(
                f"network {self.network}, part {self.part}, width {self.width:g}: only tinydf has branches and widths. "
                "Leave --part and --width out."
            )
