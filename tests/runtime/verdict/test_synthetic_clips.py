"""Fake thresholds and intervals keep their promise on synthetic clips: one real person each, moving, coded as video.

The scores are what ``scripts/compare_verdict_rules.py --test-data`` keeps of ``tinydf-score-clips``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tinydf_runtime.types import FaceScore
from tinydf_runtime.verdict.aggregate import judge_input, judge_tracks
from tinydf_runtime.verdict.evidence import collect_evidence, interval, to_logit, to_probability, trimmed_mean
from tinydf_runtime.verdict.rules import ALLOWED_FALSE_ALARMS, DecisionRule, RealScores

STORED = Path(__file__).with_name("synthetic_clips.npz")
Clip = Sequence[FaceScore]
SPLITS, DRAWS = 200, 20


@pytest.fixture(scope="module")
def clips() -> dict[bool, list[Clip]]:
    """Clips of 4 s, and under True those of 16 s."""
    with np.load(STORED) as stored:
        rows = stored["rows"].astype(np.float64)
    found: dict[bool, list[Clip]] = {False: [], True: []}
    for number in np.unique(rows[:, 0]):
        own = rows[rows[:, 0] == number]
        found[bool(own[0, 1])].append(
            [
                FaceScore(time_s, round(time_s * 10), (0, 0, side, side), detection, probability)
                for _, _, time_s, side, detection, probability in own.tolist()
            ]
        )
    return found


@pytest.fixture(scope="module")
def judged(clips: dict[bool, list[Clip]]) -> tuple[list[Clip], list[float]]:
    """The clips of people who get a probability, and its logit."""
    found = [
        (clip, judge_input([v for v, _ in judge_tracks({1: clip}, DecisionRule(0.5))])[1]) for clip in clips[False]
    ]
    kept = [(clip, to_logit(probability)) for clip, probability in found if probability is not None]
    return [clip for clip, _ in kept], [logit for _, logit in kept]


# Up to three people the bar lies among those measured; beyond them it is a guess, and allowed to be off by half.
@pytest.mark.parametrize(("people", "factor"), [(1, 1.1), (3, 1.1), (5, 1.5), (20, 1.5), (64, 1.5)])
def test_no_more_inputs_of_real_people_are_called_fake_than_is_allowed(
    judged: tuple[list[Clip], list[float]], people: int, factor: float
) -> None:
    logits, rng, alarms = np.array(judged[1]), np.random.default_rng(0), 0
    for _ in range(SPLITS):
        order = rng.permutation(len(logits))
        measured, others = np.split(order, [len(logits) // 2])
        rule = DecisionRule(0.6, 0.6, RealScores.of_logits(logits[measured].tolist()))
        bar = to_logit(rule.fake_threshold(people))
        # A crowd holds as many different people as there are.
        crowd = min(people, len(others))
        alarms += sum(logits[rng.choice(others, crowd, replace=False)].max() >= bar for _ in range(DRAWS))
    assert alarms / (SPLITS * DRAWS) <= factor * ALLOWED_FALSE_ALARMS


def test_the_verdicts_of_those_who_were_not_measured_keep_to_the_bar(judged: tuple[list[Clip], list[float]]) -> None:
    people, logits = judged
    labels = []
    # Each half by what the other one measured: of 199 people some halves hold most of the rare high scores.
    for measured, others in ((0, 1), (1, 0)):
        rule = DecisionRule(0.6, 0.6, RealScores.of_logits(logits[measured::2]))
        labels += [judge_input([v for v, _ in judge_tracks({1: clip}, rule)])[0] for clip in people[others::2]]
    assert labels.count("fake") <= 0.1 * len(labels)
    assert "real" in labels and "inconclusive" in labels


def test_nine_in_ten_intervals_of_four_seconds_hold_the_mean_of_sixteen(clips: dict[bool, list[Clip]]) -> None:
    held = total = 0
    for clip in clips[True]:
        whole = trimmed_mean(collect_evidence(clip))
        for start in (0.0, 4.0, 8.0, 12.0):
            part = collect_evidence([score for score in clip if start <= score.time_s < start + 4])
            if len(part.logit) >= 5:
                low, high = interval(trimmed_mean(part), part)
                held += low <= to_probability(whole) <= high
                total += 1
    assert total >= 16
    assert held / total >= 0.85
