"""Histogram of an activation -> its 8-bit range, by five methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from tinydf_calibration.ranges import Observed
from tinydf_calibration.table import METHODS

PERCENTILE = 99.99
"""Share of values, in per cent, that the percentile method keeps inside."""
LEVELS = 256
SHARES = np.linspace(1.0, 0.1, 46)
"""How much of each side of the full range the searching methods try to keep."""
ROUNDS = 2
"""The two ends are searched in turn, so often."""

Range = tuple[float, float]
_Cost = Callable[[Observed, float, float], float]


def choose_ranges(observed: Mapping[str, Observed], method: str) -> dict[str, Range]:
    """Returns the range of each activation. It always holds 0, which every scale must represent.

    Args:
        observed: What ``observe`` found.
        method: One of ``METHODS``.
    """
    find = dict(zip(METHODS, (_min_max, _moving_average, _percentile, _entropy, _mse), strict=True))[method]
    return {name: _holding_zero(*find(one)) for name, one in observed.items()}


def _holding_zero(low: float, high: float) -> Range:
    return min(low, 0.0), max(high, 0.0)


def _min_max(one: Observed) -> Range:
    return one.low, one.high


def _moving_average(one: Observed) -> Range:
    return one.average_low, one.average_high


def _percentile(one: Observed) -> Range:
    counts = one.counts.astype(np.float64)
    zero = _zero_bin(one)
    counts[zero] += one.zeros
    share = np.cumsum(counts) / counts.sum()
    tail = (1 - PERCENTILE / 100) / 2
    width = (one.high - one.low) / len(counts)
    first = int(np.searchsorted(share, tail, side="right"))
    last = int(np.searchsorted(share, 1 - tail))
    return one.low + first * width, one.low + (last + 1) * width


def _entropy(one: Observed) -> Range:
    """Keeps the range whose 256 levels tell most about the distribution, by Kullback-Leibler divergence."""
    return _search(one, _divergence)


def _mse(one: Observed) -> Range:
    """Keeps the range whose rounding and clipping cost the smallest mean square error."""
    return _search(one, _square_error)


def _search(one: Observed, cost: _Cost) -> Range:
    low, high = _holding_zero(one.low, one.high)
    if high <= low or not one.counts.any():
        return low, high
    kept_low, kept_high = low, high
    for _ in range(ROUNDS):
        if high > 0:
            kept_high = _cheapest(high * SHARES, [cost(one, kept_low, high * share) for share in SHARES])
        if low < 0:
            kept_low = _cheapest(low * SHARES, [cost(one, low * share, kept_high) for share in SHARES])
    return kept_low, kept_high


def _cheapest(ends: NDArray[np.float64], costs: list[float]) -> float:
    return float(ends[int(np.argmin(costs))])


def _square_error(one: Observed, low: float, high: float) -> float:
    """Returns the mean square difference between the values and their nearest of 256 levels."""
    step = (high - low) / (LEVELS - 1)
    if step <= 0:
        return float("inf")
    centres = one.centres()
    inside = np.clip(centres, low, high)
    # Inside a bin values spread over all rounding errors: a level's variance; outside the error is the distance.
    errors = np.where(inside == centres, step**2 / 12, (centres - inside) ** 2)
    return float((errors * one.counts).sum() / one.counts.sum())


def _divergence(one: Observed, low: float, high: float) -> float:
    """Returns the divergence of the distribution told by 256 levels from the true one, clipped values at the ends.

    After the idea of TensorRT's entropy calibration (Migacz, "8-bit inference with TensorRT", 2017), with a lower end
    beside the upper one.
    """
    centres = one.centres()
    inside = (centres >= low) & (centres <= high)
    counts = one.counts[inside].astype(np.float64)
    if len(counts) < LEVELS:
        return float("inf")
    level = np.minimum(((centres[inside] - low) * (LEVELS / (high - low))).astype(np.intp), LEVELS - 1)
    true = counts.copy()
    true[0] += one.counts[centres < low].sum()
    true[-1] += one.counts[centres > high].sum()
    filled = true > 0
    mass = np.bincount(level, counts, LEVELS)
    bins = np.bincount(level, filled.astype(np.float64), LEVELS)
    told = np.where(filled, (mass / np.maximum(bins, 1))[level], 0)
    return _kullback_leibler(true[filled] / true.sum(), told[filled] / max(told.sum(), 1e-30))


def _kullback_leibler(true: NDArray[np.float64], told: NDArray[np.float64]) -> float:
    return float((true * np.log(true / np.maximum(told, 1e-12))).sum())


def _zero_bin(one: Observed) -> int:
    if one.high <= one.low:
        return 0
    place = -one.low * len(one.counts) / (one.high - one.low)
    return int(np.clip(place, 0, len(one.counts) - 1))
