"""Confidence intervals: bootstrap over videos, and closed forms for few videos."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Z = 1.959964
"""Standard normal quantile of a two-sided 95 % interval."""


def draw_counts(
    cluster: NDArray[np.intp], forged: NDArray[np.bool_], clusters: int, draws: int, rng: Generator
) -> NDArray[np.int64]:
    """Draws how often each cluster is in each bootstrap sample; the members of a cluster always stay together.

    Clusters with only real members, only forged ones, and both are resampled apart, so that no sample lacks a class.

    Args:
        cluster: N, the cluster of each member, numbered from 0.
        forged: N, whether the member is forged.
        clusters: How many there are.
        draws: Number of samples.
        rng: Source of all randomness.

    Returns:
        draws x clusters.
    """
    content = np.zeros(clusters, np.int64)
    np.bitwise_or.at(content, cluster, np.where(forged, 2, 1))
    counts = np.zeros((draws, clusters), np.int64)
    for stratum in np.unique(content):
        members = np.flatnonzero(content == stratum)
        counts[:, members] = rng.multinomial(len(members), np.full(len(members), 1 / len(members)), draws)
    return counts


def wilson(share: float, count: int) -> tuple[float, float]:
    """Returns the 95 % interval of a share of ``count`` independent trials (Wilson, 1927)."""
    centre = (share + Z**2 / (2 * count)) / (1 + Z**2 / count)
    half = Z / (1 + Z**2 / count) * np.sqrt(share * (1 - share) / count + (Z / (2 * count)) ** 2)
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


def newcombe_auc(value: float, reals: int, fakes: int) -> tuple[float, float]:
    """Returns the 95 % interval of an AUC over independent samples, ``reals`` and ``fakes`` of them.

    Newcombe, "Confidence intervals for an effect size measure based on the Mann-Whitney statistic, part 2" (Statistics
    in Medicine, 2006), method 5: the values from which the found one is as far as their own standard error times z.
    """
    mean_count = (reals + fakes) / 2

    def excess(auc: float) -> float:
        spread = 1 + (mean_count - 1) * ((1 - auc) / (2 - auc) + auc / (1 + auc))
        return float((auc - value) ** 2 - Z**2 * auc * (1 - auc) * spread / (reals * fakes))

    return _root_below(excess, value), 1 - _root_below(lambda mirrored: excess(1 - mirrored), 1 - value)


def _root_below(excess: Callable[[float], float], value: float) -> float:
    """Returns where a function that is positive far below ``value`` and not at it changes its sign."""
    low, high = 0.0, value
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
    return low
