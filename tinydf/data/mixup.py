"""Mixup of twins: a forgery laid half transparent over its own original, with a label that says how much of it is left.

After Zhang et al., "mixup: Beyond Empirical Risk Minimization" (ICLR 2018), between a crop and its forgery alone: both
are aligned and degraded alike, so that only the strength of the forgery's traces changes.
"""

from __future__ import annotations

import torch
from torch import Generator

from tinydf.data.dataset import Batch

WEAKEST = 0.3
"""Least share of the forgery in a mixed crop."""


def mix_twins(batch: Batch, share: float, generator: Generator) -> Batch:
    """Replaces some forgeries by mixtures with their originals.

    Args:
        batch: As ``collate`` returns it: N real crops, then their N forgeries. It stays as it is.
        share: Share of the forgeries that are mixed, 0..1.
        generator: Source of all randomness, on the CPU.

    Returns:
        A batch of the same shapes and types; labels and maps of mixed crops are scaled by the share of the forgery in
        them, drawn evenly from ``WEAKEST`` to 1.
    """
    images, labels, maps = batch
    pairs = len(images) // 2
    kept = WEAKEST + (1 - WEAKEST) * torch.rand(pairs, generator=generator)
    kept = torch.where(torch.rand(pairs, generator=generator) < share, kept, 1.0).to(images.device)
    real, forged = images[:pairs].float(), images[pairs:].float()
    mixed = torch.lerp(real, forged, kept.view(-1, 1, 1, 1)).round().to(images.dtype)
    return (
        torch.cat((images[:pairs], mixed)),
        torch.cat((labels[:pairs], labels[pairs:] * kept)),
        torch.cat((maps[:pairs], maps[pairs:] * kept.view(-1, 1, 1))),
    )
