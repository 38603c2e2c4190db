"""Scores and labels -> AUC, EER, AP and the like with their intervals.

The error rates at a threshold carry the names of ISO/IEC 30107-3: APCER is the share of forgeries that pass as real,
BPCER the share of real faces that are taken for forgeries.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from tinydf.intervals import draw_counts, newcombe_auc, wilson

RESAMPLINGS = 500
METRICS = (
    "auc",
    "eer",
    "average_precision",
    "accuracy",
    "tpr_at_fpr_10",
    "tpr_at_fpr_5",
    "tpr_at_fpr_1",
    "apcer",
    "bpcer",
    "ece",
)
FALSE_POSITIVE_RATES = (0.1, 0.05, 0.01)
ONE_CLASS_METRICS = ("apcer", "bpcer")
"""Metrics that are defined with one class alone."""
ECE_BINS = 15
FEW_CLUSTERS = 30
BLOCK_CELLS = 1 << 21
"""Chunk size: weights of bootstrap samples that are held at once."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


Measures: TypeAlias = Mapping[str, Estimate | None]
"""Each of ``METRICS`` by its name; None where it cannot be known."""


@dataclass(frozen=True, slots=True)
class _Ranked:
    """N scores in ascending order, with their K distinct values.

    Attributes:
        order: N, where each was before.
        forged: N, bool.
        probability: N.
        values: K, the distinct logits.
        ends: K, the index after each run of equal ones.
    """

    order: NDArray[np.intp]
    forged: NDArray[np.bool_]
    probability: NDArray[np.float64]
    values: NDArray[np.float64]
    ends: NDArray[np.intp]


def auc(real: NDArray[np.float64], fake: NDArray[np.float64]) -> float:
    """Returns the area under the ROC curve, 0..1, of N scores of real and M of fake faces; higher scores mean fake."""
    labels = np.repeat((0, 1), (len(real), len(fake)))
    return float(roc_auc_score(labels, np.concatenate((real, fake))))


def auc_with_interval(real: NDArray[np.float64], fake: NDArray[np.float64], seed: int = 0) -> Estimate:
    """Returns the AUC with a percentile bootstrap interval.

    Args:
        real: N scores of real faces.
        fake: N scores of their forgeries; a face is resampled together with its forgery.
        seed: Seed of the resampling.
    """
    rng = np.random.default_rng(seed)
    draws = []
    for _ in range(RESAMPLINGS):
        chosen = rng.integers(0, len(real), len(real))
        draws.append(auc(real[chosen], fake[chosen]))
    low, high = np.percentile(draws, (2.5, 97.5))
    return Estimate(auc(real, fake), float(low), float(high))


def fit_temperature(real: NDArray[np.float64], fake: NDArray[np.float64]) -> float:
    """Returns the divisor of the logits that makes their sigmoid the best probability (Guo et al., ICML 2017).

    Args:
        real: N logits of real faces.
        fake: M logits of forged ones.
    """
    temperatures = np.geomspace(0.1, 10, 400)
    losses = [np.logaddexp(0, real / t).mean() + np.logaddexp(0, -fake / t).mean() for t in temperatures]
    return float(temperatures[int(np.argmin(losses))])


def threshold_at_fpr(real: NDArray[np.float64], fpr: float) -> float:
    """Returns the score that a share ``fpr``, 0..1, of N scores of real faces reaches."""
    return float(np.quantile(real, 1 - fpr))


def measure(
    logit: NDArray[np.float64],
    forged: NDArray[np.bool_],
    cluster: NDArray[np.intp],
    threshold: float,
    seed: int = 0,
    draws: int = RESAMPLINGS,
) -> Measures:
    """Returns every metric with its 95 % interval.

    Intervals are percentiles of a bootstrap that resamples whole clusters. With fewer than ``FEW_CLUSTERS`` clusters of
    a class they are widened to the closed form for so many independent ones: a bootstrap of few samples underestimates
    its variance, and would call three right of three certain.

    AUC counts ties half; AP is the sum of precision over steps of recall; TPR at an FPR is the highest that any
    threshold reaches without exceeding it; ECE weighs both classes alike, since a set's share of forgeries says nothing
    about their share in use.

    Args:
        logit: N scores, higher for fake; their sigmoid is the probability.
        forged: N, the truth.
        cluster: N, the number of the video that each belongs to.
        threshold: Probability from which a face counts as fake.
        seed: Seed of the resampling.
        draws: Number of bootstrap samples.
    """
    if not len(logit):
        return dict.fromkeys(METRICS)
    ranked = _rank(logit, forged)
    values = _figures(ranked, np.ones((1, len(logit))), threshold)[0]
    names, numbers = np.unique(cluster, return_inverse=True)
    counts = draw_counts(numbers, forged, len(names), draws, np.random.default_rng(seed))
    ordered = numbers[ranked.order]
    step = max(1, BLOCK_CELLS // len(logit))
    drawn = np.concatenate(
        [_figures(ranked, counts[i : i + step][:, ordered].astype(float), threshold) for i in range(0, draws, step)]
    )
    low, high = np.percentile(drawn, (2.5, 97.5), axis=0)
    reals, fakes = (len(np.unique(numbers[forged == side])) for side in (False, True))
    return {
        name: None if np.isnan(value) else _widened(name, Estimate(float(value), float(a), float(b)), reals, fakes)
        for name, value, a, b in zip(METRICS, values, low, high, strict=True)
    }


def reliability(
    logit: NDArray[np.float64], forged: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Returns for each of ``ECE_BINS`` bins of probability the share of all, of them forged, and their probability.

    Both classes weigh alike, as in ECE, which is ``(share * abs(forged share - probability)).sum()``. Empty bins hold
    zeros. Both classes must be there.
    """
    ranked = _rank(logit, forged)
    mass, mass_forged, mass_probability = _bins(ranked, np.ones((1, len(logit))))
    filled = np.where(mass > 0, mass, 1)
    return mass[0], (mass_forged / filled)[0], (mass_probability / filled)[0]


def _rank(logit: NDArray[np.float64], forged: NDArray[np.bool_]) -> _Ranked:
    order = np.argsort(logit, kind="stable")
    ascending = logit[order]
    ends = np.flatnonzero(np.append(ascending[1:] != ascending[:-1], True)) + 1
    return _Ranked(order, forged[order], 1 / (1 + np.exp(-ascending)), ascending[ends - 1], ends)


def _figures(ranked: _Ranked, weights: NDArray[np.float64], threshold: float) -> NDArray[np.float64]:
    """Returns B x ``METRICS`` for B x N weights of the ranked scores; NaN where a class is missing.

    All of them follow from how much of each class lies below each distinct score.
    """
    below_real = _below(weights * ~ranked.forged, ranked.ends)
    below_fake = _below(weights * ranked.forged, ranked.ends)
    reals, fakes = below_real[:, -1:], below_fake[:, -1:]
    at = int(np.searchsorted(ranked.values, np.log(threshold / (1 - threshold))))
    passing_fake, passing = fakes - below_fake, reals + fakes - below_real - below_fake
    with np.errstate(invalid="ignore"):
        fpr, tpr = 1 - below_real / reals, 1 - below_fake / fakes
        steps = tpr[:, :-1] - tpr[:, 1:]
        precision = np.divide(passing_fake, passing, out=np.zeros_like(passing), where=passing > 0)
        figures = {
            "auc": ((fpr[:, :-1] - fpr[:, 1:]) * (tpr[:, :-1] + tpr[:, 1:])).sum(axis=1) / 2,
            "eer": _equal_error_rate(fpr, tpr),
            "average_precision": (steps * precision[:, :-1]).sum(axis=1),
            "accuracy": (below_real[:, at] + passing_fake[:, at]) / (reals + fakes)[:, 0],
            "apcer": 1 - tpr[:, at],
            "bpcer": fpr[:, at],
        }
        for share in FALSE_POSITIVE_RATES:
            first = np.argmax(fpr <= share + 1e-12, axis=1)
            figures[f"tpr_at_fpr_{share * 100:.0f}"] = tpr[np.arange(len(tpr)), first]
        mass, mass_forged, mass_probability = _bins(ranked, weights)
        figures["ece"] = np.where(mass > 0, np.abs(mass_forged - mass_probability), 0).sum(axis=1)
    missing = (reals * fakes)[:, 0] == 0
    return np.stack(
        [figures[name] if name in ONE_CLASS_METRICS else np.where(missing, np.nan, figures[name]) for name in METRICS],
        axis=1,
    )


def _below(weights: NDArray[np.float64], ends: NDArray[np.intp]) -> NDArray[np.float64]:
    """Returns B x K + 1: the weight below each of K distinct scores, and all of it."""
    totals = np.cumsum(weights, axis=1)[:, ends - 1]
    return np.concatenate((np.zeros((len(weights), 1)), totals), axis=1)


def _equal_error_rate(fpr: NDArray[np.float64], tpr: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns where the ROC curve, straight between its points, has as many false alarms as misses."""
    surplus = fpr + tpr - 1
    rows, after = np.arange(len(fpr)), np.maximum(np.argmax(surplus <= 0, axis=1), 1)
    before = surplus[rows, after - 1]
    share = before / (before - surplus[rows, after])
    rate: NDArray[np.float64] = fpr[rows, after - 1] + share * (fpr[rows, after] - fpr[rows, after - 1])
    return rate


def _bins(
    ranked: _Ranked, weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Returns B x ``ECE_BINS``: mass, forged mass and mass times probability, each class having half of all mass."""
    share_real, share_fake = weights * ~ranked.forged, weights * ranked.forged
    share_real = share_real / (2 * share_real.sum(axis=1, keepdims=True))
    share_fake = share_fake / (2 * share_fake.sum(axis=1, keepdims=True))
    edges = np.searchsorted(ranked.probability, np.arange(1, ECE_BINS) / ECE_BINS)

    def binned(values: NDArray[np.float64]) -> NDArray[np.float64]:
        totals = np.concatenate((np.zeros((len(values), 1)), np.cumsum(values, axis=1)), axis=1)
        return np.diff(totals[:, [0, *edges, values.shape[1]]], axis=1)

    mass = share_real + share_fake
    return binned(mass), binned(share_fake), binned(mass * ranked.probability)


def _widened(name: str, found: Estimate, reals: int, fakes: int) -> Estimate:
    """Widens the interval of a figure from few clusters to the closed form for as many independent samples."""
    if min(reals or FEW_CLUSTERS, fakes or FEW_CLUSTERS) >= FEW_CLUSTERS or name == "ece":
        return found
    if name == "auc":
        low, high = newcombe_auc(found.value, reals, fakes)
    else:
        count = {"bpcer": reals, "accuracy": reals + fakes, "eer": min(reals, fakes)}.get(name, fakes)
        low, high = wilson(found.value, count)
    return Estimate(found.value, min(low, found.low), max(high, found.high))
