"""matching.py: overlap and suppression of known boxes; pairings against trying every one."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from tinydf_runtime.faces.matching import keep_best, match_pairs, overlap_iou


def _best_sum(gain: np.ndarray) -> float:
    if gain.shape[0] > gain.shape[1]:
        gain = gain.T
    positive = np.clip(gain, 0, None)
    columns = range(positive.shape[1])
    return float(max(positive[range(len(chosen)), chosen].sum() for chosen in permutations(columns, len(positive))))


@pytest.mark.parametrize("seed", range(40))
def test_sum_is_the_largest_and_nothing_is_used_twice(seed: int) -> None:
    random = np.random.default_rng(seed)
    rows, columns = random.integers(1, 6, 2)
    gain = np.where(random.random((rows, columns)) < 0.6, random.random((rows, columns)), 0.0)
    if seed % 2:
        gain = np.round(gain, 1)  # many equal sums
    pairs = match_pairs(gain)
    assert sum(gain[row, column] for row, column in pairs) == pytest.approx(_best_sum(gain))
    assert all(gain[row, column] > 0 for row, column in pairs)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
    assert pairs == sorted(pairs)


def test_greedy_choice_is_given_up_for_a_better_sum() -> None:
    assert match_pairs(np.array([[1.0, 0.9], [0.8, 0.0]])) == [(0, 1), (1, 0)]


def test_nothing_to_pair() -> None:
    for shape in ((0, 0), (0, 3), (3, 0), (2, 2)):
        assert match_pairs(np.zeros(shape)) == []


def test_overlap_of_known_boxes() -> None:
    first = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]], np.float64)
    expected = np.array([[1, 1 / 3, 0], [1 / 3, 1, 0], [0, 0, 1]])
    np.testing.assert_allclose(overlap_iou(first, first), expected)


def test_boxes_without_area_overlap_nothing() -> None:
    empty = np.array([[5, 5, 5, 5], [9, 9, 1, 1]], np.float64)
    whole = np.array([[0, 0, 10, 10]], np.float64)
    assert not overlap_iou(empty, whole).any() and not overlap_iou(empty, empty).any()


def test_suppression_keeps_the_best_of_each_group() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [40, 0, 50, 10], [41, 0, 51, 10]], np.float64)
    assert keep_best(boxes, np.array([0.6, 0.9, 0.8, 0.7]), 0.45) == [1, 2]
    assert keep_best(boxes[:0], np.empty(0), 0.45) == []


def test_kept_boxes_never_overlap_by_more_and_dropped_ones_do() -> None:
    random = np.random.default_rng(0)
    corners = random.uniform(0, 60, (80, 2))
    boxes = np.hstack([corners, corners + random.uniform(5, 40, (80, 2))])
    scores = random.uniform(size=80)
    kept = keep_best(boxes, scores, 0.4)
    overlap = overlap_iou(boxes, boxes)
    among_kept = overlap[np.ix_(kept, kept)] - np.eye(len(kept))
    assert among_kept.max() <= 0.4
    for row in set(range(80)) - set(kept):
        assert any(overlap[row, best] > 0.4 and scores[best] >= scores[row] for best in kept)
