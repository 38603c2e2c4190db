"""Training losses of verdict and forgery map, against labels or a teacher."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


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
