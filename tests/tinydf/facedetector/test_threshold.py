from __future__ import annotations

import numpy as np

from tinydf.facedetector.metrics import ImageMatch
from tinydf.facedetector.threshold import choose_threshold


def image(scores: list[float], correct: list[bool], wanted: int) -> ImageMatch:
    return ImageMatch(np.array(scores), np.array(correct, bool), wanted, np.zeros(0), np.zeros(0))


def test_the_threshold_lies_above_what_is_seen_where_nothing_is() -> None:
    faces = [image([0.9, 0.7, 0.5], [True, True, True], 3)] * 10
    empty = [image([0.55], [False], 0)] * 10
    assert 0.55 < choose_threshold(faces, empty) <= 0.7


def test_without_false_boxes_it_keeps_every_face() -> None:
    faces = [image([0.9, 0.35], [True, True], 2)]
    assert choose_threshold(faces, [image([], [], 0)]) <= 0.35


def test_false_boxes_beside_faces_raise_it() -> None:
    faces = [image([0.9, 0.4, 0.4], [True, False, False], 1)]
    assert choose_threshold(faces, [image([], [], 0)]) > 0.4


def test_frames_of_video_with_false_boxes_raise_it() -> None:
    faces = [image([0.9, 0.4], [True, True], 2)] * 10
    nothing = [image([], [], 0)]
    assert choose_threshold(faces, nothing, [image([0.5], [False], 0)] * 3) > 0.5
    assert choose_threshold(faces, nothing, [image([0.5], [False], 0)] + [image([], [], 0)] * 60) <= 0.4
