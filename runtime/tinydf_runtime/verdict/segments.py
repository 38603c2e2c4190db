"""Evidence of a track -> segments of constant level, and those that look forged.

Where a level changes is found as the cut into segments that leaves the least squared error, with a price for each
segment (optimal partitioning; Jackson et al., 2005), over means of half seconds; then each change is placed between two
frames. Nothing is assumed about how high real and forged scores lie.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tinydf_runtime.verdict.evidence import Evidence, trimmed_mean

MINIMUM_SEGMENT_S = 1.5
"""Shorter ones are usually a turned head or a cut; longer ones are evidence."""
MAXIMUM_GAP_S = 2.0
"""A segment does not span a longer absence of the face."""
PRIOR_S = 2.0
"""A segment is picked because it is high, so it is judged together with this many seconds of the whole track."""
SEGMENT_PRICE = 3.0
"""Price of a segment, in variances times the logarithm of the number of half seconds."""
_BIN_S = 0.5
_MOST_BINS = 8_000
_BINS_A_SEGMENT = 3
_SMALLEST_SPREAD = 0.3
"""Floor of the noise estimate in logits, so that tiny changes between near-equal scores start no segment."""


def find_segments(evidence: Evidence) -> list[tuple[int, int]]:
    """Returns segments of constant level as (first, end) indices in order of time; together they hold every face."""
    segments: list[tuple[int, int]] = []
    runs = _runs(evidence.time_s)
    bin_s = max(_BIN_S, evidence.duration_s() / _MOST_BINS)
    binned = [_bins(evidence.part(*run), bin_s) for run in runs]
    price = SEGMENT_PRICE * _variance([mean for _, mean, _ in binned]) * math.log(2 + sum(len(s) for s, _, _ in binned))
    for (first, end), (start, mean, weight) in zip(runs, binned, strict=True):
        changes = _refine(
            evidence.part(first, end), [int(start[i]) for i in _partition(mean, weight, price)[1:]], bin_s
        )
        edges = [first, *(first + change for change in changes), end]
        segments += pairwise(edges)
    return segments


def find_forged(evidence: Evidence, threshold_logit: float, minimum_faces: int) -> list[tuple[int, int]]:
    """Returns the segments that look forged and last long enough, as (first, end) indices; neighbours are joined.

    A segment is judged by its mean, shrunk towards the whole track's: see ``shrunken_mean``.

    Args:
        evidence: Of one track.
        threshold_logit: From which a mean counts as forged.
        minimum_faces: Faces that a segment needs.
    """
    joined: list[tuple[int, int]] = []
    for first, end in find_segments(evidence):
        if trimmed_mean(evidence.part(first, end)) < threshold_logit:
            continue
        touches = joined and joined[-1][1] == first
        if touches and evidence.time_s[first] - evidence.time_s[first - 1] <= MAXIMUM_GAP_S:
            first = joined.pop()[0]
        joined.append((first, end))
    return [
        span
        for span in joined
        if is_credible_span(evidence.part(*span), evidence, minimum_faces)
        and shrunken_mean(evidence.part(*span), evidence) >= threshold_logit
    ]


def is_credible_span(part: Evidence, whole: Evidence, minimum_faces: int) -> bool:
    """Returns whether a span is long enough, or all there is of a short track."""
    lasting = part.duration_s() >= min(MINIMUM_SEGMENT_S, whole.duration_s())
    return lasting and len(part.logit) >= minimum_faces


def shrunken_mean(part: Evidence, whole: Evidence) -> float:
    """Returns a segment's mean logit, shrunk towards the whole track's with a weight of ``PRIOR_S`` seconds."""
    share = part.duration_s() / (part.duration_s() + PRIOR_S)
    return share * trimmed_mean(part) + (1 - share) * trimmed_mean(whole)


def _runs(time_s: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Returns the runs, as first and end index, between gaps of more than ``MAXIMUM_GAP_S``."""
    edges = [0, *(np.flatnonzero(np.diff(time_s) > MAXIMUM_GAP_S) + 1).tolist(), len(time_s)]
    return list(pairwise(edges))


def _bins(run: Evidence, bin_s: float) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Returns the first face, weighted mean and weight of each bin of a run that holds a face."""
    number = ((run.time_s - run.time_s[0]) / bin_s + 1e-6).astype(np.int64)
    start = np.flatnonzero(np.diff(number, prepend=-1))
    weight = np.add.reduceat(run.weight, start)
    return start, np.add.reduceat(run.weight * run.logit, start) / weight, weight


def _variance(means: list[NDArray[np.float64]]) -> float:
    """Returns the variance of the bins around their level, from differences over up to 1.5 s, which changes leave."""
    found = [_SMALLEST_SPREAD**2]
    for lag in (1, 2, 3):
        apart = np.concatenate([np.abs(mean[lag:] - mean[:-lag]) for mean in means])
        if len(apart) >= 2 * _BINS_A_SEGMENT:
            # The median of absolute differences of normal values, as a standard deviation, of two values at once.
            found.append((1.4826 * float(np.median(apart))) ** 2 / 2)
    return max(found)


def _partition(mean: NDArray[np.float64], weight: NDArray[np.float64], price: float) -> list[int]:
    """Returns the first bin of each segment of the cheapest cut into segments of ``_BINS_A_SEGMENT`` bins or more."""
    count = len(mean)
    weight = weight / weight.mean()
    sums = [np.concatenate([[0.0], np.cumsum(weight * mean**power)]) for power in (0, 1, 2)]
    cost, before = np.full(count + 1, np.inf), np.zeros(count + 1, np.int64)
    cost[0] = 0.0
    for end in range(_BINS_A_SEGMENT, count + 1):
        last = end - _BINS_A_SEGMENT + 1
        held, total, squares = (part[end] - part[:last] for part in sums)
        prices = cost[:last] + (squares - total**2 / held) + price
        before[end] = int(np.argmin(prices))
        cost[end] = prices[before[end]]
    starts = [int(before[count])]
    while starts[-1] > 0:
        starts.append(int(before[starts[-1]]))
    return starts[::-1]


def _refine(run: Evidence, changes: list[int], bin_s: float) -> list[int]:
    """Moves each change, the first face of a new level, to where the two levels leave the least squared error."""
    edges = [0, *changes, len(run.logit)]
    for i in range(1, len(edges) - 1):
        near = np.abs(run.time_s - run.time_s[edges[i]]) <= bin_s + 1e-6
        near[: edges[i - 1] + 1] = near[edges[i + 1] :] = False
        places = np.flatnonzero(near)
        left, right = (trimmed_mean(run.part(*edges[k : k + 2])) for k in (i - 1, i))
        gain = run.weight * ((run.logit - right) ** 2 - (run.logit - left) ** 2)
        before = np.concatenate([[0.0], np.cumsum(gain)])
        # The error is least where as much as possible of what fits the left level better lies before the change.
        edges[i] = int(places[np.argmax(before[places])])
    return edges[1:-1]
