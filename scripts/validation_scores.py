"""The validation set's pairs -> every scorer's logits of the real crops and of the forged ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import DataLoader

from tinydf.data.dataset import collate
from tinydf.data.validation_set import ClipPairs

BATCH_PAIRS = 8
Logits = NDArray[np.float64]
Scorer = Callable[[torch.Tensor], Logits]
"""Maps crops, N x 3 x S x S, RGB, uint8, to N logits."""


def score_pairs(pairs: ClipPairs, scorers: Sequence[Scorer]) -> list[tuple[Logits, Logits]]:
    """Returns the logits of the real crops and of the forged ones, for each scorer."""
    scores: list[list[Logits]] = [[] for _ in scorers]
    labels: list[NDArray[np.float32]] = []
    for images, fake, _ in DataLoader(pairs, BATCH_PAIRS, collate_fn=collate):
        labels.append(fake.numpy())
        for parts, scorer in zip(scores, scorers, strict=True):
            parts.append(scorer(images))
    is_fake = np.concatenate(labels) == 1
    logits = [np.concatenate(parts) for parts in scores]
    return [(one[~is_fake], one[is_fake]) for one in logits]


def network_scorer(network: nn.Module) -> Scorer:
    """Returns what scores crops by a network in evaluation mode."""

    @torch.inference_mode()
    def score(images: torch.Tensor) -> Logits:
        image = images.float().contiguous(memory_format=torch.channels_last)
        return np.asarray(network(image)[0].double().numpy())

    return score
