"""A batch of real-forged pairs -> two batches in which no forgery meets its own original.

Batch normalisation lets a network compare what shares a batch. With a forgery beside its own original in every batch it
learns to tell twins apart, which is impossible for a single face at run time: the training loss falls while verdicts on
single faces get worse.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tinydf.data.dataset import Batch
from tinydf.metrics import auc


def twins_apart(batch: Batch) -> tuple[Batch, Batch]:
    """Splits a batch of an even number of pairs.

    Args:
        batch: Images, 2N x ..., reals first, then their forgeries in the same order; labels, 2N; maps, 2N x h x w.

    Returns:
        The reals of the first half with the forgeries of the second half, and the other way round; N each.
    """
    pairs = len(batch[1]) // 2
    half = pairs // 2
    first = torch.cat((torch.arange(half), torch.arange(pairs + half, 2 * pairs)))
    second = torch.cat((torch.arange(half, pairs), torch.arange(pairs, pairs + half)))
    return tuple(part[first] for part in batch), tuple(part[second] for part in batch)  # type: ignore[return-value]


def twins_together(batch: Batch) -> tuple[Batch, Batch]:
    """Splits a batch as ``twins_apart`` does, but with each forgery beside its own original: for comparison."""
    pairs = len(batch[1]) // 2
    half = pairs // 2
    first = torch.cat((torch.arange(half), torch.arange(pairs, pairs + half)))
    second = torch.cat((torch.arange(half, pairs), torch.arange(pairs + half, 2 * pairs)))
    return tuple(part[first] for part in batch), tuple(part[second] for part in batch)  # type: ignore[return-value]


@torch.no_grad()
def training_mode_aucs(model: nn.Module, batches: Iterable[Batch]) -> tuple[float, float]:
    """Measures how much a network gains from seeing twins in one batch; its statistics are left as they were.

    Args:
        model: Maps images to logits and map logits.
        batches: Of pairs, as ``dataset.collate`` stacks them, in batches of the size that it trains in. A last one of a
            single pair, which has no halves, is left out.

    Returns:
        AUC in training mode with twins together, and with twins apart; NaN where no batch has halves. The first
        exceeds the second by no more than noise in a network that judges each face by itself.
    """
    statistics = {
        name: value.clone()
        for module in model.modules()
        if isinstance(module, _BatchNorm)
        for name, value in ((id(module), module.running_mean), (-id(module), module.running_var))
        if value is not None
    }
    was_training = model.training
    model.train()
    together, apart = [], []
    for batch in (batch for batch in batches if len(batch[1]) > 2):
        together += [_scored(model, half) for half in twins_together(batch)]
        apart += [_scored(model, half) for half in twins_apart(batch)]
    for module in model.modules():
        if isinstance(module, _BatchNorm) and module.running_mean is not None and module.running_var is not None:
            module.running_mean.copy_(statistics[id(module)])
            module.running_var.copy_(statistics[-id(module)])
    model.train(was_training)
    return _auc(together), _auc(apart)


def _scored(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
    images = batch[0].float().contiguous(memory_format=torch.channels_last)
    return model(images)[0].double().cpu(), batch[1].cpu()


def _auc(scored: list[tuple[Tensor, Tensor]]) -> float:
    if not scored:
        return float("nan")
    logits: NDArray[np.float64] = torch.cat([logit for logit, _ in scored]).numpy()
    labels = torch.cat([label for _, label in scored]).numpy()
    return auc(logits[labels == 0], logits[labels == 1])
