"""Scores and labels -> AUC with its interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

RESAMPLINGS = 500


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def auc(real: NDArray[np.float64], fake: NDArray[np.float64]) -> float:
    """Returns the area under the ROC curve of fake against real scores, 0..1; higher scores mean fake."""
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
    """Returns the score that a share ``fpr`` of real faces reaches."""
    return float(np.quantile(real, 1 - fpr))
