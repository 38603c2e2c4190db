"""Small faces in large pictures are found part by part, each once."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tinydf_runtime.analyzer import Analyzer
from tinydf_runtime.faces.detector import FaceDetector, search_in_parts, search_turned, smallest_face_px
from tinydf_runtime.types import Frame, Image


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    return FaceDetector(threads=1)


def crowd(astronaut: Image, side: int, columns: int, rows: int) -> Image:
    head = cv2.resize(astronaut[20:300, 90:370], (side, side), interpolation=cv2.INTER_AREA)
    return np.tile(head, (rows, columns, 1))


def test_a_crowd_is_found_to_the_last_each_once(detector: FaceDetector, astronaut: Image) -> None:
    picture = crowd(astronaut, 120, 10, 8)
    whole = detector.detect(picture)
    found = search_in_parts(detector, picture, whole, 96)
    assert len(whole) < 80 and len(found.faces) == 80
    boxes = np.array([face.box_xyxy for face in found.faces])
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    assert len(np.unique(middles // 120, axis=0)) == 80
    assert [face.score for face in found.faces] == sorted((face.score for face in found.faces), reverse=True)


def test_a_small_face_in_full_hd_is_found(detector: FaceDetector, astronaut: Image) -> None:
    picture = np.full((1080, 1920, 3), 120, np.uint8)
    picture[500:552, 900:952] = cv2.resize(astronaut[20:300, 90:370], (52, 52), interpolation=cv2.INTER_AREA)
    assert detector.detect(picture) == []
    (face,) = search_in_parts(detector, picture, [], 96).faces
    left, top, right, bottom = face.box_xyxy
    assert 900 < left < right < 952 and 500 < top < bottom < 552


@pytest.mark.parametrize("turn", [cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_COUNTERCLOCKWISE])
def test_a_picture_on_its_side_or_its_head_gives_the_face_where_it_is(
    detector: FaceDetector, astronaut: Image, turn: int
) -> None:
    picture = np.ascontiguousarray(astronaut[:400])
    (face,) = [face for face in detector.detect(picture) if face.score >= detector.certain_score]
    (found,) = search_turned(detector, np.asarray(cv2.rotate(picture, turn), np.uint8))
    canvas = np.zeros(picture.shape[:2], np.uint8)
    for x, y in face.landmarks:
        canvas[round(y), round(x)] = 255
    canvas = np.asarray(cv2.GaussianBlur(cv2.rotate(canvas, turn), (0, 0), 3), np.uint8)
    for x, y in found.landmarks:
        assert canvas[round(y), round(x)] > 0
    left, top, right, bottom = found.box_xyxy
    assert left < min(x for x, _ in found.landmarks) and right > max(x for x, _ in found.landmarks)
    assert top < min(y for _, y in found.landmarks) and bottom > max(y for _, y in found.landmarks)


def test_an_upright_picture_and_one_without_faces_give_none_on_their_side(
    detector: FaceDetector, astronaut: Image
) -> None:
    assert search_turned(detector, astronaut) == []
    assert search_turned(detector, np.random.default_rng(0).integers(100, 140, (400, 640, 3), np.uint8)) == []


@pytest.mark.parametrize("turn", [cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_180])
def test_a_video_that_lost_its_rotation_is_judged_as_the_upright_one(astronaut: Image, turn: int) -> None:
    upright = [np.ascontiguousarray(astronaut[i : 400 + i, 20 + i : 420 + i]) for i in range(0, 24, 2)]
    turned = [np.asarray(cv2.rotate(np.asarray(image), turn), np.uint8) for image in upright]
    with Analyzer(threads=1, sample_fps=None) as analyzer:
        one, other = (
            analyzer.analyze_frames([Frame(i, i / 4, image) for i, image in enumerate(images)])
            for images in (upright, turned)
        )
    (first,), (second,) = one.tracks, other.tracks
    assert len(first.scores) == len(second.scores) == 12
    assert second.fake_probability == pytest.approx(first.fake_probability, abs=0.1)


def test_how_far_was_looked_follows_the_work_allowed(detector: FaceDetector) -> None:
    picture = np.full((1080, 1920, 3), 120, np.uint8)
    assert search_in_parts(detector, picture, [], 96).smallest_px == smallest_face_px(1)
    assert search_in_parts(detector, picture, [], 1).smallest_px == smallest_face_px(6) == 96


def test_a_picture_without_faces_says_down_to_what_size_it_was_searched(astronaut: Image, tmp_path: object) -> None:
    path = f"{tmp_path}/flat.png"
    cv2.imwrite(path, np.random.default_rng(0).integers(100, 140, (400, 640, 3), np.uint8))
    with Analyzer(threads=1) as analyzer:
        item = analyzer.analyze_input(path)
    assert (item.verdict, item.smallest_face_px) == ("no_face", 16)
