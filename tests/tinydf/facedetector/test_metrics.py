from __future__ import annotations

import math

import numpy as np
import pytest

from tinydf.facedetector.metrics import (
    ImageMatch,
    average_precision,
    false_boxes,
    match,
    recall,
    score_with_false_boxes,
)

WANTED = np.array([[10.0, 10.0, 30.0, 30.0], [50.0, 50.0, 90.0, 90.0]])
POINTS = np.zeros((2, 5, 2))
NONE = np.zeros((0, 4))


def found(boxes: list[list[float]], scores: list[float], ignored: np.ndarray = NONE) -> ImageMatch:
    array = np.array(boxes, np.float64).reshape(-1, 4)
    return match(array, np.array(scores), np.zeros((len(boxes), 5, 2)), WANTED, POINTS, ignored)


def test_the_same_boxes_match_perfectly() -> None:
    one = found(WANTED.tolist(), [0.9, 0.8])
    assert recall([one], 0.5) == 1.0
    assert false_boxes([one], 0.0) == 0.0
    assert average_precision([one]) == 1.0
    assert one.ious.tolist() == [1.0, 1.0]


def test_a_second_box_on_a_face_is_wrong() -> None:
    one = found([WANTED[0].tolist(), WANTED[0].tolist()], [0.9, 0.8])
    assert one.correct.tolist() == [True, False]
    assert recall([one], 0.5) == 0.5


def test_a_box_on_an_ignored_place_counts_neither_way() -> None:
    one = found([[100, 100, 120, 120]], [0.9], np.array([[98.0, 98.0, 124.0, 124.0]]))
    assert false_boxes([one], 0.0) == 0.0
    assert recall([one], 0.0) == 0.0


def test_the_threshold_decides_what_counts() -> None:
    one = found([[0, 0, 5, 5], WANTED[1].tolist()], [0.3, 0.6])
    assert recall([one], 0.5) == 0.5
    assert recall([one], 0.7) == 0.0
    assert false_boxes([one], 0.5) == 0.0
    assert false_boxes([one], 0.2) == 1.0
    assert average_precision([one]) == pytest.approx(0.5)


def test_without_faces_recall_is_not_a_number() -> None:
    empty = match(NONE, np.zeros(0), np.zeros((0, 5, 2)), NONE, np.zeros((0, 5, 2)), NONE)
    assert math.isnan(recall([empty], 0.5))
    assert math.isnan(average_precision([empty]))


def test_landmark_errors_are_shares_of_the_width() -> None:
    shifted = POINTS.copy()
    shifted[1] += [4.0, 0.0]
    one = match(WANTED, np.array([0.9, 0.8]), shifted, WANTED, POINTS, NONE)
    assert one.landmark_errors.tolist() == pytest.approx([0.0, 0.1])


def test_the_score_for_a_number_of_false_boxes() -> None:
    far = [[200.0, 200.0, 220.0, 220.0]] * 3
    some = [found(far, [0.9, 0.6, 0.3])] + [found([], [])] * 19
    assert 0.9 < score_with_false_boxes(some, 0.0) < 0.91
    assert 0.6 < score_with_false_boxes(some, 0.05) < 0.61
    assert score_with_false_boxes(some, 1.0) == 0.0
    for most in (0.0, 0.05, 0.1):
        assert false_boxes(some, score_with_false_boxes(some, most)) <= most
