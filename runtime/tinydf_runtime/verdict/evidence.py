"""Scores of a track -> weighted evidence: its mean logit and the standard error of that.

Probabilities are averaged as logits, where two equally sure and opposite frames cancel out. Faces are weighted by size,
detection score and quality.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinydf_runtime.types import FaceQuality, FaceScore

FLOAT32_STEP = 1e-7
"""Nearer to 0 and 1 float32 holds no further probabilities."""
LOGIT_LIMIT = 5.0
"""Networks saturate, and one frame must not outweigh all others: each is capped at 99.3 %, unless the track's weighted
median is higher."""
HIGHEST_LOGIT = 9.2
"""99.99 %, the cap of a track. Crowds need more than ``LOGIT_LIMIT``: the worst of 64 real people in a picture may
score 99.8 %. Closer to 1 too few digits are left."""
MINIMUM_SIDE_PX = 40.0
"""Smaller faces are enlarged more than fivefold: the network would see interpolation."""
FULL_SIDE_PX = 112.0
"""From half the network's input side on, a face shows all the detail that the network can use."""
LEAST_WEIGHT = 0.05
TRIM = 0.1
"""Share of the weight left out at either end, so that blinks and motion blur do not move the mean."""
SAMPLES_A_SECOND = 1.0
"""Independent samples a second, at most: neighbouring frames show the same pose and compression."""
STEP_S = 0.2
"""Faces nearer to each other than this, the default rate's distance, show nothing new."""
USUAL_SPREAD = 0.6
"""Standard deviation in logits of a face's scores over a clip, which a few frames cannot show."""
USUAL_SPREAD_SAMPLES = 2.0
"""Weight of this prior, in samples."""
INTERVAL_Z = 1.645
"""Half-width of the interval in standard errors: 90 % coverage of the mean over an endless clip."""
_SHORTEST_SERIES = 8


@dataclass(frozen=True, slots=True)
class Evidence:
    """The faces of a track that count, in order of time.

    Attributes:
        time_s: N, float64.
        logit: N, float64, from -LOGIT_LIMIT to LOGIT_LIMIT, or to their weighted median where that is higher.
        weight: N, float64, above 0.
    """

    time_s: NDArray[np.float64]
    logit: NDArray[np.float64]
    weight: NDArray[np.float64]

    def part(self, first: int, end: int) -> Evidence:
        """Returns the faces from ``first`` up to and without ``end``."""
        return Evidence(self.time_s[first:end], self.logit[first:end], self.weight[first:end])

    def duration_s(self) -> float:
        """Returns the time between the first and the last face."""
        return float(self.time_s[-1] - self.time_s[0]) if len(self.time_s) else 0.0


def collect_evidence(scores: Sequence[FaceScore]) -> Evidence:
    """Returns the faces that are large enough, in order of time, with their weights."""
    # Not by way of a list: its rows take ten times the memory of their numbers.
    rows = (v for s in scores for v in (s.time_s, s.fake_probability, s.detection_score, *s.box_xyxy))
    numbers = np.fromiter(rows, np.float64, 7 * len(scores))
    time_s, probability, detection, left, top, right, bottom = numbers.reshape(-1, 7).T
    side_px = np.maximum(right - left, bottom - top)
    weight = np.minimum(1.0, side_px / FULL_SIDE_PX) * detection * _clarity(scores)
    order = np.argsort(time_s, kind="stable")
    order = order[side_px[order] >= MINIMUM_SIDE_PX]
    logit, weight = to_logits(probability[order], HIGHEST_LOGIT), np.maximum(weight[order], LEAST_WEIGHT)
    return Evidence(time_s[order], np.minimum(logit, max(LOGIT_LIMIT, _weighted_median(logit, weight))), weight)


def _weighted_median(values: NDArray[np.float64], weight: NDArray[np.float64]) -> float:
    """Returns the lowest value that holds half of the weight together with those below it; 0 of none."""
    if not len(values):
        return 0.0
    order = np.argsort(values)
    held = np.cumsum(weight[order])
    return float(values[order][np.searchsorted(held, held[-1] / 2)])


def clarity(quality: FaceQuality) -> float:
    """Returns how clearly a face is seen, 0..1: pose, exposure and sharpness; size weighs on its own."""
    exposure = quality.under_exposure_prevention * quality.over_exposure_prevention
    pose = quality.head_pose_yaw * quality.head_pose_pitch * quality.head_pose_roll
    return exposure * pose * (0.5 + 0.5 * quality.sharpness)


def _clarity(scores: Sequence[FaceScore]) -> NDArray[np.float64]:
    """Returns the clarity of each face, 1 where it was not measured."""
    return np.fromiter((1.0 if s.quality is None else clarity(s.quality) for s in scores), np.float64, len(scores))


def to_logit(probability: float) -> float:
    """Returns log(p / (1 - p)), of a threshold or what a track says; finite for 0 and 1 too."""
    inside = min(max(probability, 1e-9), 1 - 1e-9)
    return math.log(inside / (1 - inside))


def to_logits(probability: NDArray[np.float64], highest: float = LOGIT_LIMIT) -> NDArray[np.float64]:
    """Returns N logits of N probabilities, clipped to ``-LOGIT_LIMIT`` and ``highest``."""
    return log_odds(probability).clip(-LOGIT_LIMIT, highest)


def log_odds(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns N logits of N probabilities, finite for 0 and 1 too: those are moved by the resolution of float32."""
    inside = probability.clip(FLOAT32_STEP, 1 - FLOAT32_STEP)
    return np.asarray(np.log(inside / (1 - inside)))


def to_probability(logit: float) -> float:
    """Returns the logistic function, rounded to the six digits that reports hold."""
    return round(1 / (1 + math.exp(-logit)), 6)


def trimmed_mean(evidence: Evidence) -> float:
    """Returns the weighted mean of the logits without the outer ``TRIM`` of the weight on either side."""
    order = np.argsort(evidence.logit, kind="stable")
    share = evidence.weight[order] / evidence.weight.sum()
    upper = np.cumsum(share)
    kept = np.clip(np.minimum(upper, 1 - TRIM) - np.maximum(upper - share, TRIM), 0, None)
    return float((kept * evidence.logit[order]).sum() / kept.sum())


def effective_sample_size(evidence: Evidence) -> float:
    """Returns the effective sample size: how many independent frames the faces are worth, at most about one a second.

    Fewer where scores are correlated for longer than that, or where a few faces carry the weight. Faces within
    ``STEP_S`` count as one, so that scoring every frame gives what scoring five a second gives.
    """
    steps = by_step(evidence)
    count = len(steps.logit)
    even = float(steps.weight.sum() ** 2 / (steps.weight**2).sum()) / count
    samples = count / correlation_length(steps.logit)
    return max(1.0, even * min(samples, 1 + evidence.duration_s() * SAMPLES_A_SECOND, float(count)))


def by_step(evidence: Evidence) -> Evidence:
    """Returns one mean face for each ``STEP_S`` in which the face was seen."""
    # Time stamps are rounded: a face on the border of two steps must not fall into the earlier one.
    step = np.floor((evidence.time_s - evidence.time_s[:1] + 1e-3) / STEP_S).astype(np.int64)
    _, first, step, count = np.unique(step, return_index=True, return_inverse=True, return_counts=True)
    weight = np.bincount(step, evidence.weight)
    logit = np.bincount(step, evidence.weight * evidence.logit) / weight
    return Evidence(evidence.time_s[first], logit, weight / count)


def count_steps(evidence: Evidence) -> int:
    """Returns how many time steps show the face: a burst of frames counts once. Without time stamps, all faces."""
    return len(by_step(evidence).logit) if evidence.duration_s() > 0 else len(evidence.logit)


def correlation_length(logit: NDArray[np.float64]) -> float:
    """Returns the integrated autocorrelation time of N evenly spaced logits: how many neighbours are worth one score.

    It is 1 plus twice the sum of the autocorrelations, which ends at the first lag whose one is within noise (one
    standard error of white noise).
    """
    count = len(logit)
    apart = logit - logit.mean()
    if count < _SHORTEST_SERIES or float(np.abs(apart).max()) < 1e-9:
        return 1.0
    spectrum = np.fft.rfft(apart, 2 * count)
    correlation = np.fft.irfft(spectrum * np.conj(spectrum))[: count // 2]
    correlation /= correlation[0]
    lost = np.flatnonzero(correlation < 1 / math.sqrt(count))
    end = int(lost[0]) if len(lost) else len(correlation)
    length = max(1.0, 1 + 2 * float(correlation[1:end].sum()))
    # Fluctuations slower than the series are absorbed by its mean and missing from the sum.
    return length * (1 + 2 * (length - 1) / count)


def standard_error(evidence: Evidence) -> float:
    """Returns the standard error of the mean logit, from the effective sample size and the scores' spread."""
    steps = by_step(evidence)
    mean = np.average(steps.logit, weights=steps.weight)
    variance = float(np.average((steps.logit - mean) ** 2, weights=steps.weight))
    samples = effective_sample_size(evidence)
    # Bessel's correction: the mean was estimated from the same few samples.
    seen, usual = variance * samples / max(samples - 1, 1.0), USUAL_SPREAD**2
    pooled = (samples * seen + USUAL_SPREAD_SAMPLES * usual) / (samples + USUAL_SPREAD_SAMPLES)
    return math.sqrt(pooled / samples)


def interval(logit: float, evidence: Evidence) -> tuple[float, float]:
    """Returns the 90 % interval, low and high, of a mean logit's probability, from the evidence's standard error."""
    reach = INTERVAL_Z * standard_error(evidence)
    return to_probability(logit - reach), to_probability(logit + reach)
