"""Sharpness-aware minimisation: steps that lead to flat minima."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def at_the_worst_neighbour(parameters: Iterable[nn.Parameter], radius: float) -> Iterator[None]:
    """Moves weights uphill along their gradients while the context lasts, and clears the gradients on entry.

    The gradients computed inside are those of the worst point within ``radius``; after the context the weights are
    back where they were (Foret et al., "Sharpness-Aware Minimization for Efficiently Improving Generalization", ICLR
    2021, algorithm 1).

    Args:
        parameters: Weights whose gradients have been computed.
        radius: Length of the move, over all weights together.
    """
    moved = [parameter for parameter in parameters if parameter.grad is not None]
    gradients = [parameter.grad for parameter in moved if parameter.grad is not None]
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(gradient) for gradient in gradients]))
    moves = [gradient * (radius / (norm + 1e-12)) for gradient in gradients]
    before = [parameter.detach().clone() for parameter in moved]
    with torch.no_grad():
        for parameter, move in zip(moved, moves, strict=True):
            parameter.add_(move)
            parameter.grad = None
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, value in zip(moved, before, strict=True):
                parameter.copy_(value)
