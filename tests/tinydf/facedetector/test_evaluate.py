from __future__ import annotations

import math

import numpy as np
import pytest

from tinydf.facedetector.evaluate import (
    Detect,
    Found,
    Scene,
    composed_scenes,
    faceless_pictures,
    match_scene,
    photo_scenes,
    summarise,
)
from tinydf.facedetector.metrics import ImageMatch, false_boxes, recall
from tinydf.facedetector.photos import Photo
from tinydf.facedetector.threshold import choose_threshold
from tinydf_runtime.types import Image


def perfect(scene: Scene) -> Detect:
    found = Found(scene.boxes_xyxy, np.full(len(scene.boxes_xyxy), 0.9), scene.landmarks)
    return lambda image: found


def test_photos_are_scaled_with_their_labels(photos: list[Photo]) -> None:
    small, large = (next(photo_scenes(photos[:1], side)) for side in (150, 600))
    assert small.image.shape == (150, 150, 3)
    np.testing.assert_allclose(small.boxes_xyxy * 4, large.boxes_xyxy, rtol=1e-6)
    np.testing.assert_allclose(small.landmarks * 4, large.landmarks, rtol=1e-6)


def test_a_perfect_detector_gets_perfect_figures(photos: list[Photo]) -> None:
    scenes = list(photo_scenes(photos, 300))
    matches = [match_scene(perfect(scene), scene, 20) for scene in scenes]
    figures = summarise(matches, 0.5)
    assert figures["recall"] == (1.0, 1.0, 1.0)
    assert figures["false_boxes"].value == 0.0
    assert figures["median_iou"].value == pytest.approx(1.0)
    assert figures["median_landmark_error"].value == pytest.approx(0.0)


def test_figures_agree_with_the_plain_ones_and_lie_in_their_intervals(photos: list[Photo]) -> None:
    rng = np.random.default_rng(0)

    def blurred(scene: Scene) -> Detect:
        boxes = scene.boxes_xyxy + rng.normal(0, 15, scene.boxes_xyxy.shape)
        found = Found(boxes, rng.uniform(0.2, 1.0, len(boxes)), scene.landmarks)
        return lambda image: found

    scenes = list(composed_scenes(photos, 20, 160, seed=1))
    matches = [match_scene(blurred(scene), scene, 10) for scene in scenes]
    figures = summarise(matches, 0.5)
    assert figures["recall"].value == pytest.approx(recall(matches, 0.5))
    assert figures["false_boxes"].value == pytest.approx(false_boxes(matches, 0.5))
    for interval in figures.values():
        assert interval.low <= interval.value <= interval.high


def test_faces_below_the_size_are_neither_wanted_nor_punished(photos: list[Photo]) -> None:
    scene = next(photo_scenes(photos[:1], 300))
    one = match_scene(perfect(scene), scene, 1000)
    assert one.wanted == 0
    assert false_boxes([one], 0.0) == 0.0


def test_pictures_without_faces_have_figures_without_recall(photos: list[Photo]) -> None:
    def see_one(image: Image) -> Found:
        return Found(np.array([[0.0, 0.0, 9.0, 9.0]]), np.array([0.7]), np.zeros((1, 5, 2)))

    empty = np.zeros((0, 4))
    pictures = list(faceless_pictures(photos, 4, 64, seed=0))
    matches = [match_scene(see_one, Scene(picture, empty, np.zeros((0, 5, 2)), empty), 0) for picture in pictures]
    figures = summarise(matches, 0.5)
    assert math.isnan(figures["recall"].value)
    assert figures["false_boxes"].value == 1.0


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
    nothing = [image([], [], 0)]
    assert choose_threshold([], nothing, [image([0.5], [False], 0)] * 3) == 0.51
    assert choose_threshold([], nothing, [image([0.5], [False], 0)] + [image([], [], 0)] * 60) == 0.3


def test_frames_of_video_alone_say_how_many_false_boxes_are_allowed() -> None:
    def frames(false: int) -> list[ImageMatch]:
        return [image([0.9, 0.4], [True, False], 1)] * false + [image([0.9], [True], 1)] * (100 - false)

    faces = [image([0.9, 0.5], [True, False], 1)] * 10
    nothing = [image([], [], 0)]
    assert choose_threshold(faces, nothing, frames(4)) == 0.3
    assert choose_threshold(faces, nothing, frames(5)) == 0.41


def test_where_no_score_keeps_the_limits_it_is_the_highest() -> None:
    assert choose_threshold([], [image([0.95], [False], 0)]) == 0.8
