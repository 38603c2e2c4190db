"""boxes.py: overlap and suppression."""

from __future__ import annotations

import numpy as np

from tinydf_runtime.faces.boxes import keep_best, overlap_iou


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
