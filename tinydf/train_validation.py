"""Scores of validation pairs -> logits by class, temperature and threshold."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tinydf.data.dataset import Batch
from tinydf.metrics import fit_temperature, threshold_at_fpr
from tinydf_runtime.models.spec import ModelSpec

VALIDATION_FPR = 0.1
Logits: TypeAlias = NDArray[np.float64]


@torch.inference_mode()
def score_pairs(model: nn.Module, pairs: Iterable[Batch], device: torch.device) -> tuple[Logits, Logits]:
    """Returns the logits of the real and of the forged crops, N each, in the order of ``pairs``."""
    was_training = model.training
    model.eval()
    real, fake = [], []
    for images, labels, _ in pairs:
        placed = images.to(device).float().contiguous(memory_format=torch.channels_last)
        logits = model(placed)[0].double().cpu()
        real.append(logits[labels == 0].numpy())
        fake.append(logits[labels == 1].numpy())
    model.train(was_training)
    return np.concatenate(real), np.concatenate(fake)


def calibrated(spec: ModelSpec, real: Logits, fake: Logits) -> ModelSpec:
    """Returns the spec with the temperature and the threshold that validation asks for, a crop at a time.

    ``tinydf-evaluate --fpr`` refits them on whole videos.
    """
    temperature = fit_temperature(real, fake)
    threshold = 1 / (1 + math.exp(-threshold_at_fpr(real, VALIDATION_FPR) / temperature))
    return replace(spec, temperature=round(temperature, 4), threshold=round(min(max(threshold, 0.01), 0.99), 4))
