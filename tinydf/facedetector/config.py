"""Settings of a face detector run; importable without PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

Precision = Literal["32-true", "bf16-mixed"]
"""Lightning Fabric's names, as for ``tinydf-train``."""


class Draw(NamedTuple):
    """Which picture: its step, its place in the batch and its side in pixels."""

    step: int
    place: int
    side_px: int


@dataclass(frozen=True, slots=True)
class DetectorConfig:
    """Settings of a run; together with the photos they decide everything.

    Attributes:
        steps: Optimiser steps of the whole run.
        batch_size: Pictures a step.
        small_side_px: Side of the pictures at first.
        side_px: Side of most pictures after ``grow_at``, and of those for validation.
        large_side_px: Side of the others after ``grow_at``: faces of more than ``side_px`` occur in them.
        grow_at: Step from which pictures are large.
        bind_levels_at: Step from which a face is taught only to the strides that suit its size.
        learning_rate: The highest.
        weight_decay: Of AdamW.
        warmup_steps: Over which the learning rate rises.
        decay_share: Last part of the run, over which it falls to zero.
        average_decay: Of the moving average of the weights.
        average_from: Step at which the average restarts, once the targets have changed.
        clip_norm: Largest norm of the gradient.
        validate_every: Steps between validations and checkpoints.
        validation_pictures: How many.
        mine_every: Steps between searches of the scenes for what the network takes for faces; 0 for none.
        seed: Of weights and pictures.
        precision: ``bf16-mixed`` computes the features in bfloat16; boxes and losses stay in float32.
    """

    steps: int = 9000
    batch_size: int = 16
    small_side_px: int = 256
    side_px: int = 320
    large_side_px: int = 640
    grow_at: int = 4500
    bind_levels_at: int = 0
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    warmup_steps: int = 400
    decay_share: float = 0.35
    average_decay: float = 0.999
    average_from: int = 0
    clip_norm: float = 20.0
    validate_every: int = 500
    validation_pictures: int = 300
    mine_every: int = 0
    seed: int = 1
    precision: Precision = "32-true"

    def learning_rate_at(self, step: int) -> float:
        """Returns the learning rate of a step."""
        rise = min(1.0, (step + 1) / max(self.warmup_steps, 1))
        fall = min(1.0, (self.steps - step) / max(self.steps * self.decay_share, 1.0))
        return self.learning_rate * min(rise, fall)

    def batch_at(self, step: int) -> list[Draw]:
        """Returns the pictures of a step: small ones first, then large ones, every third time a few very large ones."""
        side_px = self.small_side_px
        if step >= self.grow_at:
            side_px = self.large_side_px if step % 3 == 2 else self.side_px
        # Very large pictures come in so small a number that a step costs the same.
        count = max(1, self.batch_size * self.side_px**2 // max(side_px, self.side_px) ** 2)
        return [Draw(step, place, side_px) for place in range(count)]
