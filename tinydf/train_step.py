"""A batch of pairs -> one optimiser step; with image sizes, learning rates, weight averages and the trained branch."""

from __future__ import annotations

import math
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional

from tinydf.data.dataset import MAP_CELL_PX, Batch
from tinydf.forgery import TinyDF
from tinydf.forgery.model import RGBBranch
from tinydf.train_config import Part, TrainConfig
from tinydf.twins import twins_apart


def take_step(
    fabric: Fabric, model: nn.Module, optimizer: Any, batch: Batch, config: TrainConfig, oracle: TinyDF | None
) -> Tensor:
    """Takes one optimiser step and returns its loss, a scalar on the CPU.

    Args:
        fabric: Device and precision.
        model: Maps N x 3 x H x W images to N logits and N x h x w map logits.
        optimizer: Of the model's parameters.
        batch: As ``at_size`` returns it; an even number of pairs.
        config: Weights of the losses.
        oracle: Teacher to agree with, None for none.
    """
    # Two passes, so that no forgery shares batch statistics with its own original.
    losses = (_backward(fabric, model, half, config, oracle) for half in twins_apart(batch))
    loss = sum(losses, torch.zeros(())) / 2
    fabric.clip_gradients(model, optimizer, max_norm=5.0)
    optimizer.step()
    optimizer.zero_grad()
    return loss


def _backward(fabric: Fabric, model: nn.Module, half: Batch, config: TrainConfig, oracle: TinyDF | None) -> Tensor:
    """Adds the gradients of half a step and returns its loss."""
    images, labels, maps = half
    logits, map_logits = model(images)
    loss = forgery_loss(logits, map_logits, labels, maps, config.map_weight)
    if oracle is not None:
        with torch.no_grad():
            opinion = oracle(images)
        agreement = distillation_loss(logits, map_logits, *opinion)
        loss = (1 - config.distill_weight) * loss + config.distill_weight * agreement
    fabric.backward(loss / 2)
    return loss.detach().cpu()


def at_size(batch: Batch, side_px: int) -> Batch:
    """Returns a batch as the network takes it: float32, channels last, no larger than ``side_px``.

    Args:
        batch: Images, N x 3 x H x W, uint8; labels, N; maps, N x h x w.
        side_px: A multiple of 32.
    """
    images, labels, maps = batch
    images = images.float()
    if images.shape[-1] > side_px:
        images = functional.interpolate(
            images, (side_px, side_px), mode="bilinear", align_corners=False, antialias=True
        )
        maps = functional.adaptive_avg_pool2d(maps.unsqueeze(1), side_px // MAP_CELL_PX).squeeze(1)
    return images.contiguous(memory_format=torch.channels_last), labels, maps


def part_of(network: nn.Module, part: Part) -> nn.Module:
    """Returns the part of a network that learns; it maps images to logits and map logits as the whole does."""
    if part == "whole":
        return network
    assert isinstance(network, TinyDF), "TrainConfig allows parts of no other"
    if part == "deep":
        return RGBBranch(network)
    return network.residual


def decay_groups(model: nn.Module, config: TrainConfig) -> list[dict[str, Any]]:
    """Returns the optimiser's parameter groups: weights, which decay, and gains and biases, which do not."""
    # Gains and biases are not decayed: shrinking them does not simplify what the network computes.
    weights = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in model.parameters() if parameter.ndim <= 1]
    return [{"params": weights, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]


def moving_average(average: Tensor, current: Tensor, averaged: Tensor | int, decay: float) -> Tensor:
    """Returns the next exponential moving average of a tensor; the decay grows from .1, so that early weights fade.

    Args:
        average: So far.
        current: Of the same shape.
        averaged: How many tensors the average holds.
        decay: Largest decay, 0..1.
    """
    return average.lerp(current, 1 - min(decay, float(averaged + 1) / float(averaged + 10)))


def learning_rate_factor(step: int, config: TrainConfig) -> float:
    """Returns the share of the peak learning rate at a step: linear warm-up, then half a cosine."""
    warmup = max(1, round(config.steps * config.warmup_share))
    if step <= warmup:
        return step / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, config.steps - warmup)))


def forgery_loss(logits: Tensor, map_logits: Tensor, labels: Tensor, maps: Tensor, map_weight: float) -> Tensor:
    """Returns binary cross-entropy of the verdict plus that of the forgery map.

    Args:
        logits: N.
        map_logits: N x h x w.
        labels: N, 1 for fake.
        maps: N x h x w, 0..1: the share of each cell that was replaced; NaN where unknown.
        map_weight: Weight of the map's part.
    """
    verdict = functional.binary_cross_entropy_with_logits(logits.float(), labels)
    known = ~maps.isnan()
    where = functional.binary_cross_entropy_with_logits(map_logits.float(), maps.nan_to_num(), reduction="none")
    return verdict + map_weight * (where * known).sum() / known.sum().clamp(min=1)


def distillation_loss(logits: Tensor, map_logits: Tensor, teacher_logits: Tensor, teacher_map_logits: Tensor) -> Tensor:
    """Returns the cross-entropy to a teacher's probabilities, of verdict and map (Hinton et al., 2015).

    Args:
        logits: N.
        map_logits: N x h x w.
        teacher_logits: N.
        teacher_map_logits: N x h x w.
    """
    verdict = functional.binary_cross_entropy_with_logits(logits.float(), torch.sigmoid(teacher_logits.float()))
    where = functional.binary_cross_entropy_with_logits(map_logits.float(), torch.sigmoid(teacher_map_logits.float()))
    return verdict + where
