"""Verdicts of two models on the same crops -> how far one is from the other."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESAMPLINGS = 500
MAX_AUC_DROP = 0.005
"""Loss of AUC that a quantised model may show unless another is asked for."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a quantised model must keep to.

    Attributes:
        auc_drop: Largest loss of AUC.
        mean_difference: Largest mean difference in fake probability.
        flipped: Largest share of crops that fall on the other side of the threshold.
    """

    auc_drop: float = MAX_AUC_DROP
    mean_difference: float = 0.01
    flipped: float = 0.01


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far a model is from the one that it was made from.

    Attributes:
        crops: Crops compared.
        mean_difference: Mean difference in fake probability.
        max_difference: Largest difference.
        flipped: Share of crops that fall on the other side of the threshold.
        auc_before: AUC of the first model; None where one class is missing.
        auc: AUC of the second.
        auc_drop: AUC of the float model minus that of the other; negative where it was gained.
        auc_drop_low: Lower end of the loss's 95 % bootstrap interval.
        auc_drop_high: Upper end.
    """

    crops: int
    mean_difference: float
    max_difference: float
    flipped: float
    auc_before: float | None
    auc: float | None
    auc_drop: float | None
    auc_drop_low: float | None
    auc_drop_high: float | None

    def keeps_to(self, bounds: Bounds) -> bool:
        """Whether it is within the bounds; a figure that is no number is not."""
        within = self.mean_difference <= bounds.mean_difference and self.flipped <= bounds.flipped
        return within and (self.auc_drop is None or self.auc_drop <= bounds.auc_drop)

    def to_dict(self) -> dict[str, Any]:
        """Returns the figures as JSON has them."""
        return asdict(self)


def compare_verdicts(
    before: NDArray[np.floating[Any]],
    after: NDArray[np.floating[Any]],
    forged: NDArray[np.bool_],
    cluster: NDArray[np.intp],
    threshold: float,
    seed: int = 0,
) -> Agreement:
    """Compares the fake probabilities that two models give.

    Args:
        before: N probabilities of the first model.
        after: N of the second.
        forged: N, the truth.
        cluster: N, the number of the video or photo that each crop belongs to; they are resampled together.
        threshold: Probability from which a face counts as fake.
        seed: Of the resampling.
    """
    difference = np.abs(after.astype(np.float64) - before)
    # NaN is on neither side, and so never where the other model is.
    flipped = np.where(np.isnan(after), True, (before >= threshold) != (after >= threshold))
    auc_before, auc_after, low, high = None, None, None, None
    if forged.any() and not forged.all():
        wins_before, wins_after = _wins(before, forged), _wins(after, forged)
        auc_before, auc_after = float(wins_before.mean()), float(wins_after.mean())
        drawn = _resample(wins_before - wins_after, forged, cluster, seed)
        low, high = (float(value) for value in np.percentile(drawn, (2.5, 97.5)))
    return Agreement(
        len(before),
        float(difference.mean()),
        float(difference.max()),
        float(flipped.mean()),
        auc_before,
        auc_after,
        None if auc_before is None or auc_after is None else auc_before - auc_after,
        low,
        high,
    )


def auc(score: NDArray[np.floating[Any]], forged: NDArray[np.bool_]) -> float | None:
    """Returns the area under the ROC curve of N scores, higher for forged, ties half; None if a class is missing."""
    return float(_wins(score, forged).mean()) if forged.any() and not forged.all() else None


def _wins(score: NDArray[np.floating[Any]], forged: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Returns real x forged: 1 where the forged crop scores higher, 0.5 where they tie; their mean is the AUC."""
    real, fake = score[~forged][:, None], score[forged][None]
    return np.asarray((fake > real) + 0.5 * (fake == real))


def _resample(
    gap: NDArray[np.float64], forged: NDArray[np.bool_], cluster: NDArray[np.intp], seed: int
) -> NDArray[np.float64]:
    """Returns ``RESAMPLINGS`` draws of the weighted mean of real x forged values; clusters stay whole.

    Clusters of real crops only, of forged only and of both are drawn apart, so that no draw lacks a class.
    """
    _, numbers = np.unique(cluster, return_inverse=True)
    content = np.zeros(numbers.max() + 1, np.int64)
    np.bitwise_or.at(content, numbers, np.where(forged, 2, 1))
    rng = np.random.default_rng(seed)
    counts = np.zeros((RESAMPLINGS, len(content)))
    for stratum in np.unique(content):
        members = np.flatnonzero(content == stratum)
        counts[:, members] = rng.multinomial(len(members), np.full(len(members), 1 / len(members)), RESAMPLINGS)
    real, fake = counts[:, numbers[~forged]], counts[:, numbers[forged]]
    drawn: NDArray[np.float64] = ((real @ gap) * fake).sum(axis=1) / (real.sum(axis=1) * fake.sum(axis=1))
    return drawn
