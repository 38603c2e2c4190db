"""recheck.py with an engine that scores by a rule a test can foretell."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tinydf_runtime.faces.exemplars import Exemplar, WhyKept
from tinydf_runtime.models.spec import ModelSpec
from tinydf_runtime.results import Segment
from tinydf_runtime.types import FaceScore, Image, Scores
from tinydf_runtime.verdict.evidence import to_probability
from tinydf_runtime.verdict.recheck import CROPS, is_unstable, pictures_behind, reencode_crop


class FixedEngine:
    """Gives every crop the same probability, and counts the batches."""

    spec, name, device = ModelSpec("fixed"), "fixed", "cpu"

    def __init__(self, probability: float) -> None:
        self.probability = probability
        self.batches: list[int] = []

    def score(self, crops: NDArray[np.uint8]) -> Scores:
        self.batches.append(len(crops))
        return Scores(np.full(len(crops), self.probability, np.float32), np.zeros((len(crops), 14, 14), np.float32))


def picture(probability: float, why: WhyKept = "spread", time_s: float = 0.0) -> Exemplar:
    record = FaceScore(time_s, int(5 * time_s), (0, 0, 90, 90), 0.9, probability)
    return Exemplar(record, np.full((224, 224, 3), 128, np.uint8), np.zeros((14, 14), np.uint8), why)


def test_reencoding_keeps_the_picture_and_takes_its_grain(astronaut: Image) -> None:
    crop = np.ascontiguousarray(astronaut[60:284, 110:334, ::-1])
    grain = np.random.default_rng(0).normal(0, 8, crop.shape)
    noisy = (crop + grain).clip(0, 255).astype(np.uint8)
    again = reencode_crop(noisy)
    assert again.shape == crop.shape and again.dtype == np.uint8
    away = np.abs(again.astype(float) - crop).mean()
    assert away < np.abs(noisy.astype(float) - crop).mean()
    assert np.abs(again.mean(axis=(0, 1)) - crop.mean(axis=(0, 1))).max() < 3


@pytest.mark.parametrize(("probability", "again", "unstable"), [(0.8, 0.2, True), (0.8, 0.7, False), (0.3, 0.9, True)])
def test_a_verdict_is_unstable_when_it_would_turn_round(probability: float, again: float, unstable: bool) -> None:
    engine = FixedEngine(again)
    assert is_unstable(probability, 0.5, [picture(probability)] * 3, engine) is unstable
    assert engine.batches == [3]


def test_it_is_the_change_that_counts_and_not_how_high_the_pictures_score() -> None:
    assert not is_unstable(0.7, 0.5, [picture(0.4)], FixedEngine(0.4))
    assert is_unstable(0.7, 0.5, [picture(0.99)], FixedEngine(0.8))


def test_cost_is_one_small_batch_and_none_where_nothing_can_turn() -> None:
    engine = FixedEngine(0.5)
    is_unstable(0.6, 0.5, [picture(0.6)] * 12, engine)
    assert engine.batches == [CROPS]
    assert not is_unstable(to_probability(4.0), 0.5, [picture(0.98)] * 3, engine)
    assert not is_unstable(0.6, 0.5, [], engine)
    assert engine.batches == [CROPS]


def test_pictures_kept_for_their_score_are_asked_last() -> None:
    many = [*[picture(0.99, "suspicious")] * CROPS, *[picture(0.6, "spread")] * CROPS]
    assert not is_unstable(0.7, 0.5, many, FixedEngine(0.6))


def test_a_segment_is_asked_by_its_own_pictures() -> None:
    pictures = [picture(0.5, time_s=float(second)) for second in range(10)]
    assert [p.record.time_s for p in pictures_behind(pictures, [Segment(1, 2.0, 4.0, 0.9)])] == [2, 3, 4]
    assert len(pictures_behind(pictures, [])) == 10
