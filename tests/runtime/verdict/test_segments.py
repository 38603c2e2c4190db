"""segments.py on series of scores whose changes are known."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from tinydf_runtime.verdict.evidence import Evidence
from tinydf_runtime.verdict.segments import MAXIMUM_GAP_S, find_forged, find_segments, shrunken_mean


def series(
    levels: list[tuple[float, float]], spread: float = 0.5, seed: int = 0, fps: float = 5.0, memory: float = 0.5
) -> Evidence:
    """Scores around levels, given as logit and seconds, each keeping a share of the one before."""
    logit = np.repeat([1.0 * level for level, _ in levels], [round(seconds * fps) for _, seconds in levels]).astype(
        np.float64
    )
    noise = np.random.default_rng(seed).standard_normal(len(logit))
    for i in range(1, len(noise)):
        noise[i] = memory * noise[i - 1] + np.sqrt(1 - memory**2) * noise[i]
    return Evidence(np.arange(len(logit)) / fps, logit + spread * noise, np.ones(len(logit)))


def starts(evidence: Evidence) -> NDArray[np.float64]:
    return np.array([evidence.time_s[first] for first, _ in find_segments(evidence)])


@pytest.mark.parametrize("fps", [5.0, 25.0])
def test_changes_are_found_where_they_are(fps: float) -> None:
    evidence = series([(-1.5, 8), (2, 4), (-1.5, 8)], spread=0.4, fps=fps)
    assert starts(evidence) == pytest.approx([0, 8, 12], abs=0.4)


def test_segments_hold_every_face_once_and_in_order() -> None:
    evidence = series([(-1, 5), (1, 5), (-1, 5), (2, 3)])
    segments = find_segments(evidence)
    assert segments[0][0] == 0 and segments[-1][1] == len(evidence.logit)
    assert all(before[1] == after[0] for before, after in pairwise(segments))


def test_one_level_is_rarely_cut() -> None:
    cut = sum(len(find_segments(series([(-1, 30)], seed=seed))) > 1 for seed in range(60))
    assert cut <= 9


def test_real_clips_have_no_forged_segment() -> None:
    found = sum(bool(find_forged(series([(-0.9, 30)], seed=seed), 0.5, 5)) for seed in range(60))
    assert found == 0


def test_a_forged_tenth_of_a_long_clip_is_found() -> None:
    places = []
    for seed in range(20):
        evidence = series([(-1, 30), (1.8, 6), (-1, 24)], seed=seed)
        places += [(evidence.time_s[first], evidence.time_s[end - 1]) for first, end in find_forged(evidence, 0.5, 5)]
    assert len(places) == 20
    assert np.median(places, axis=0) == pytest.approx([30, 35.8], abs=0.5)


def test_a_single_frame_is_no_segment() -> None:
    evidence = series([(-2, 20)], spread=0.1)
    evidence.logit[50] = 5
    assert find_forged(evidence, 0.5, 5) == []


def test_no_segment_reaches_over_a_gap() -> None:
    evidence = series([(2, 6)], spread=0.1)
    evidence.time_s[15:] += MAXIMUM_GAP_S + 0.1
    assert find_segments(evidence) == [(0, 15), (15, 30)]
    assert find_forged(evidence, 0.5, 5) == [(0, 15), (15, 30)]


def test_neighbouring_forged_levels_are_one_segment() -> None:
    evidence = series([(-2, 10), (1.5, 5), (4, 5), (-2, 10)], spread=0.2)
    assert len(find_segments(evidence)) == 4
    ((first, end),) = find_forged(evidence, 0.5, 5)
    assert (evidence.time_s[first], evidence.time_s[end - 1]) == pytest.approx((10, 19.8), abs=0.4)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_shortest_tracks_are_one_segment(count: int) -> None:
    evidence = Evidence(np.arange(count) / 5, np.ones(count), np.ones(count))
    assert find_segments(evidence) == [(0, count)]
    assert find_forged(evidence, 0.5, 1) == [(0, count)]


def test_a_short_segment_is_drawn_towards_the_whole() -> None:
    whole = series([(-2, 20), (2, 4)], spread=0.1)
    short, long = shrunken_mean(whole.part(110, 120), whole), shrunken_mean(whole.part(100, 120), whole)
    assert -2 < short < long < 2


def test_faces_that_weigh_little_move_no_level() -> None:
    evidence = series([(-1, 20)], spread=0.2)
    evidence.logit[40:44], evidence.weight[40:44] = 5, 0.05
    assert len(find_segments(evidence)) == 1


def test_an_hour_of_every_frame_is_cut_and_its_forged_minute_found() -> None:
    evidence = series([(-1, 1800), (1.5, 60), (-1, 1740)], fps=30)
    ((first, end),) = find_forged(evidence, 0.5, 5)
    assert (evidence.time_s[first], evidence.time_s[end - 1]) == pytest.approx((1800, 1860), abs=1)
