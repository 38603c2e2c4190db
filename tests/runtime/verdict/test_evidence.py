"""evidence.py on series of scores whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tinydf_runtime.types import FaceQuality, FaceScore
from tinydf_runtime.verdict.evidence import (
    HIGHEST_LOGIT,
    LEAST_WEIGHT,
    LOGIT_LIMIT,
    MINIMUM_SIDE_PX,
    Evidence,
    clarity,
    collect_evidence,
    correlation_length,
    effective_sample_size,
    interval,
    standard_error,
    to_logit,
    to_logits,
    to_probability,
    trimmed_mean,
)


def series(logit: NDArray[np.float64], fps: float = 5.0, weight: NDArray[np.float64] | None = None) -> Evidence:
    return Evidence(np.arange(len(logit)) / fps, logit, np.ones(len(logit)) if weight is None else weight)


def remembering(rng: np.random.Generator, count: int, memory: float, spread: float = 1.0) -> NDArray[np.float64]:
    """Normal values each of which keeps a share of the one before."""
    values = rng.standard_normal(count)
    for i in range(1, count):
        values[i] = memory * values[i - 1] + np.sqrt(1 - memory**2) * values[i]
    return spread * values


def score(time_s: float = 0.0, quality: FaceQuality | None = None, side_px: float = 200.0) -> FaceScore:
    return FaceScore(time_s, int(time_s * 5), (0, 0, side_px, side_px), 0.9, 0.5, quality=quality)


NO_WEIGHTS = ("inter_eye_distance", "fine_steps", "pattern_prevention")
"""The last two tell faces that cannot be judged at all, see ``judge.py``."""


@pytest.mark.parametrize("name", [name for name in FaceQuality.__slots__ if name not in NO_WEIGHTS])
def test_each_poor_quality_takes_weight(name: str) -> None:
    good, poor = FaceQuality(), FaceQuality(**{name: 0.2})
    assert clarity(poor) < clarity(good) == 1
    weight = collect_evidence([score(0, good), score(1, poor)]).weight
    assert weight[1] < weight[0]


def test_a_face_without_quality_counts_in_full_and_none_counts_nothing() -> None:
    hopeless = FaceQuality(head_pose_yaw=0.0)
    weight = collect_evidence([score(0), score(1, hopeless), score(2, FaceQuality())]).weight
    assert weight[0] == weight[2]
    assert weight[1] == LEAST_WEIGHT


def test_evidence_is_in_order_of_time_without_small_faces() -> None:
    found = collect_evidence([score(3), score(1), score(2, side_px=MINIMUM_SIDE_PX - 1)])
    assert found.time_s.tolist() == [1, 3]
    assert len(collect_evidence([]).logit) == 0


def test_logits_are_bounded_and_come_back() -> None:
    values = np.array([0.0, 0.1, 0.5, 0.9, 1.0])
    assert to_logits(values)[1:-1].tolist() == pytest.approx([to_logit(value) for value in values[1:-1]])
    assert to_logits(values)[[0, -1]].tolist() == [-LOGIT_LIMIT, LOGIT_LIMIT]
    assert to_probability(to_logit(0.123456)) == 0.123456
    assert to_probability(to_logit(0.9987)) == 0.9987, "a threshold means what it says, however high"


def scored(*probabilities: float) -> list[FaceScore]:
    return [FaceScore(i, i * 5, (0, 0, 200, 200), 0.9, p) for i, p in enumerate(probabilities)]


def test_one_frame_beyond_the_limit_is_held_back_and_most_of_them_are_not() -> None:
    one = collect_evidence(scored(0.9, 0.999999, 0.9, 0.9, 0.9))
    assert one.logit.max() == LOGIT_LIMIT
    most = collect_evidence(scored(0.9, 0.999999, 0.9985, 0.9985, 0.9985))
    assert most.logit.max() == pytest.approx(to_logit(0.9985)), "none passes the median"
    assert most.logit[0] == pytest.approx(to_logit(0.9))
    assert collect_evidence(scored(1.0)).logit.tolist() == [HIGHEST_LOGIT]
    assert collect_evidence(scored(0.0)).logit.tolist() == [-LOGIT_LIMIT]


def test_the_trimmed_mean_leaves_out_a_tenth_at_either_end() -> None:
    values = np.array([-5.0, *np.linspace(-1, 1, 18), 5.0])
    assert trimmed_mean(series(values)) == pytest.approx(0, abs=1e-9)
    assert trimmed_mean(series(np.array([-1.0] * 19 + [5.0]))) == pytest.approx(-1)


def test_correlation_length_is_found(rng: np.random.Generator) -> None:
    for memory in (0.0, 0.5, 0.8):
        found = np.mean([correlation_length(remembering(rng, 2000, memory)) for _ in range(10)])
        assert found == pytest.approx((1 + memory) / (1 - memory), rel=0.25)
    assert correlation_length(np.ones(50)) == correlation_length(np.arange(3.0)) == 1


def test_samples_are_at_most_one_a_second_and_one_a_face(rng: np.random.Generator) -> None:
    white = rng.standard_normal(500)
    assert effective_sample_size(series(white, fps=25)) == pytest.approx(21, rel=0.05)
    assert effective_sample_size(series(white[:10], fps=0.1)) == pytest.approx(10)
    assert effective_sample_size(series(white[:1])) == 1


@pytest.mark.parametrize("memory", [0.0, 0.8])
def test_looking_at_every_frame_makes_nothing_more_or_less_certain(rng: np.random.Generator, memory: float) -> None:
    slow = remembering(rng, 100, memory)
    flicker = rng.standard_normal((100, 6))
    flicker -= flicker.mean(1, keepdims=True)
    sampled, every = series(slow, fps=5), series((slow[:, None] + flicker).ravel(), fps=30)
    assert effective_sample_size(every) == pytest.approx(effective_sample_size(sampled), rel=0.02)
    assert standard_error(every) == pytest.approx(standard_error(sampled), rel=0.02)


def test_samples_are_fewer_where_scores_follow_each_other_or_few_faces_weigh(rng: np.random.Generator) -> None:
    slow, white = remembering(rng, 500, 0.95), rng.standard_normal(500)
    assert effective_sample_size(series(slow)) < 0.5 * effective_sample_size(series(white))
    heavy = np.full(500, 0.05)
    heavy[:10] = 1.0
    assert effective_sample_size(series(white, weight=heavy)) < 0.3 * effective_sample_size(series(white))


@pytest.mark.parametrize(("memory", "count"), [(0.0, 50), (0.7, 100), (0.9, 300)])
def test_most_intervals_hold_the_true_mean(rng: np.random.Generator, memory: float, count: int) -> None:
    held = 0
    for _ in range(300):
        evidence = series(-0.5 + remembering(rng, count, memory, 0.6))
        low, high = interval(trimmed_mean(evidence), evidence)
        held += low <= to_probability(-0.5) <= high
    assert held / 300 > 0.82


def test_a_few_frames_that_happen_to_agree_are_not_certain() -> None:
    assert standard_error(series(np.full(5, 1.0))) > 0.2
    assert standard_error(series(np.full(500, 1.0))) < 0.1


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
