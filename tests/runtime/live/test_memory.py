"""What is kept of a stream that has no end: bounded, spread over its time, and with its worst stretch."""

from __future__ import annotations

from itertools import pairwise

from tinydf_runtime.live.memory import MAXIMUM_SPREAD, MAXIMUM_TRACKS, MEMORY_S, StreamMemory, TrackMemory
from tinydf_runtime.types import FaceScore
from tinydf_runtime.verdict.rules import DecisionRule

REAL, FAKE = 0.05, 0.97


def record(number: int, probability: float, fps: float = 5.0) -> FaceScore:
    return FaceScore(number / fps, number, (10.0, 10.0, 210.0, 210.0), 0.95, probability)


def test_hours_are_kept_as_scores_spread_over_them() -> None:
    memory = TrackMemory(1, endless=True)
    # A face every five seconds: what is kept depends on how many there are.
    count = 27 * MAXIMUM_SPREAD
    for number in range(count):
        memory.add(record(number, REAL, fps=0.2), DecisionRule(0.5))
    kept = memory.records()
    assert len(kept) <= MAXIMUM_SPREAD
    assert len(kept) >= MAXIMUM_SPREAD // 2
    assert len(memory.recent) <= MEMORY_S * 0.2 + 1
    steps = {late.frame - early.frame for early, late in pairwise(kept)}
    assert len(steps) == 1
    assert kept[0].frame == 0 and kept[-1].frame > count - 2 * steps.pop()


def test_a_short_forged_stretch_stays_in_the_records_however_much_follows() -> None:
    memory = TrackMemory(1, endless=True)
    for number in range(2000):
        memory.add(record(number, FAKE if 100 <= number < 150 else REAL), DecisionRule(0.5))
    assert len(memory.recent) <= MEMORY_S * 5 + 1
    kept = memory.records()
    assert sum(score.fake_probability == FAKE for score in kept) >= 45
    assert [score.frame for score in kept] == sorted({score.frame for score in kept})


def test_a_running_verdict_follows_a_change() -> None:
    memory = StreamMemory(DecisionRule(0.5))
    labels = [memory.add(1, record(number, FAKE if number >= 100 else REAL)).label for number in range(200)]
    assert labels[90] == "real"
    assert labels[-1] == "fake"


def test_a_source_with_an_end_keeps_all() -> None:
    memory = StreamMemory(DecisionRule(0.5), endless=False)
    for number in range(MAXIMUM_SPREAD + 200):
        memory.add(1, record(number, REAL))
        memory.tidy(record(number, REAL).time_s)
    assert len(memory.records()[1]) == MAXIMUM_SPREAD + 200


def test_of_those_who_left_the_most_suspicious_are_kept_and_the_rest_counted() -> None:
    memory = StreamMemory(DecisionRule(0.5))
    for track in range(1, MAXIMUM_TRACKS + 31):
        for number in range(8):
            at = record(track * 100 + number, FAKE if track == 3 else REAL)
            memory.add(track, at)
        memory.tidy(at.time_s)
    kept = memory.records()
    assert len(kept) <= MAXIMUM_TRACKS + 1
    assert memory.forgotten == MAXIMUM_TRACKS + 30 - len(kept)
    assert 3 in kept


def test_who_comes_back_under_the_same_number_goes_on() -> None:
    memory = StreamMemory(DecisionRule(0.5))
    memory.add(1, record(0, REAL))
    memory.tidy(2 * MEMORY_S)
    memory.add(1, record(500, REAL))
    assert [score.frame for score in memory.records()[1]] == [0, 500]
