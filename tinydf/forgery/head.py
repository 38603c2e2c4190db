"""The KAN head: a network whose edges are learned splines (Liu et al., "KAN: Kolmogorov-Arnold Networks", 2024)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

GRID_INTERVALS = 5
ORDER = 3
GRID_RANGE = (-1.0, 1.0)


def cubic_spline_bases(x: Tensor, centres: Tensor, spacing: float) -> Tensor:
    """Evaluates uniform cubic B-splines in closed form.

    B(u) = (relu(2 - |u|)^3 - 4 relu(1 - |u|)^3) / 6, with u the distance from the centre in grid intervals. It equals
    the Cox-de Boor recursion (de Boor, "A Practical Guide to Splines", 1978) and exports as plain arithmetic.

    Args:
        x: Any shape.
        centres: K, the splines' centres.
        spacing: Distance of two centres.

    Returns:
        The shape of ``x`` with K appended; the last axis sums to 1 inside the grid.
    """
    distance = ((x.unsqueeze(-1) - centres) / spacing).abs()
    wide = functional.relu(2 - distance)
    narrow = functional.relu(1 - distance)
    return (wide * wide * wide - 4 * (narrow * narrow * narrow)) / 6


class KANLayer(nn.Module):
    """One learned function of each input for each output, summed: SiLU times a weight, plus a cubic spline."""

    centres: Tensor

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        low, high = GRID_RANGE
        self.spacing = (high - low) / GRID_INTERVALS
        splines = GRID_INTERVALS + ORDER
        # Centres reach one interval beyond the grid on both sides, so that the splines sum to 1 everywhere inside.
        self.register_buffer("centres", low + self.spacing * (torch.arange(splines) - 1.0), persistent=False)
        self.base_weight = nn.Parameter(torch.empty(out_features, in_features))
        self.spline_weight = nn.Parameter(torch.empty(out_features, in_features * splines))
        nn.init.kaiming_uniform_(self.base_weight, a=math.sqrt(5))
        nn.init.normal_(self.spline_weight, std=0.1 / math.sqrt(in_features))

    def forward(self, x: Tensor) -> Tensor:
        """N x in_features within -1..1 -> N x out_features."""
        bases = cubic_spline_bases(x, self.centres, self.spacing).flatten(1)
        base = functional.linear(functional.silu(x), self.base_weight)
        return base + functional.linear(bases, self.spline_weight)


class KANHead(nn.Module):
    """Pooled features -> logit, through two KAN layers.

    Each layer's input is normalised and squashed to the grid's range: outside it every spline is zero and so is its
    gradient.
    """

    def __init__(self, channels: int, hidden: int = 16) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm1d(channels)
        self.drop = nn.Dropout(0.2)
        self.kan1 = KANLayer(channels, hidden)
        self.norm2 = nn.BatchNorm1d(hidden)
        self.kan2 = KANLayer(hidden, 1)

    def forward(self, features: Tensor) -> Tensor:
        """N x C x h x w -> N logits; above 0 means fake."""
        pooled = self.norm1(features.mean((2, 3)))
        hidden = self.kan1(self.drop(torch.tanh(pooled)))
        logit: Tensor = self.kan2(torch.tanh(self.norm2(hidden)))
        return logit.squeeze(1)
