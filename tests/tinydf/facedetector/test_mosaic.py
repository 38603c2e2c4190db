from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from tinydf.facedetector.backgrounds import cut_beside_faces, draw_background
from tinydf.facedetector.degrade import degrade
from tinydf.facedetector.mosaic import SMALLEST_FACE_PX, Canvas, Composer, move_boxes, move_faces, similarity
from tinydf.facedetector.photos import Photo
from tinydf_runtime.types import Image


def test_equal_seeds_give_equal_pictures_and_others_do_not(photos: list[Photo]) -> None:
    composer = Composer(photos)
    first, again, other = (composer.compose(96, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.boxes_xyxy, again.boxes_xyxy)
    assert not np.array_equal(first.image, other.image)


def test_labels_lie_in_the_picture_and_points_belong_to_their_boxes(photos: list[Photo]) -> None:
    composer = Composer(photos)
    faces = 0
    for seed in range(40):
        sample = composer.compose(128, np.random.default_rng(seed))
        assert sample.image.shape == (128, 128, 3)
        assert sample.image.dtype == np.uint8
        assert (sample.boxes_xyxy >= 0).all() and (sample.boxes_xyxy <= 128).all()
        sizes = sample.boxes_xyxy[:, 2:] - sample.boxes_xyxy[:, :2]
        assert (sizes > 0).all() and (sizes.max(1, initial=SMALLEST_FACE_PX) >= SMALLEST_FACE_PX).all()
        middles = (sample.boxes_xyxy[:, :2] + sample.boxes_xyxy[:, 2:]) / 2
        assert (np.abs(sample.landmarks.mean(1) - middles) <= 0.75 * sizes + 1).all()
        faces += len(sizes)
    assert faces > 20


def test_faces_of_many_sizes_occur(photos: list[Photo]) -> None:
    composer = Composer(photos)
    samples = [composer.compose(256, np.random.default_rng(seed)) for seed in range(80)]
    widths = np.concatenate([sample.boxes_xyxy[:, 2] - sample.boxes_xyxy[:, 0] for sample in samples])
    assert widths.min() < 16
    assert widths.max() > 120
    assert any(len(sample.boxes_xyxy) == 0 for sample in samples)


def test_a_mirrored_face_keeps_the_persons_right_eye_first(photos: list[Photo]) -> None:
    matrix = similarity(np.zeros(2, np.float32), np.array([300, 0], np.float32), 1.0, 0.0, mirrored=True)
    _, points = move_faces(photos[0].faces, matrix, 0.0, mirrored=True)
    right_eye, left_eye = points[0, :2]
    # On a picture of a person looking at us, their right side is on our left.
    assert right_eye[0] < left_eye[0]
    assert points[0, 3, 0] < points[0, 4, 0]


def test_turning_by_a_quarter_swaps_the_sides_of_a_box() -> None:
    box = np.array([[10, 20, 30, 50]], np.float32)
    matrix = similarity(np.array([25, 45], np.float32), np.array([0, 0], np.float32), 2.0, math.pi / 2, mirrored=False)
    np.testing.assert_allclose(move_boxes(box, matrix, math.pi / 2), [[-50, -30, 50, 30]], atol=1e-4)


def test_a_covered_face_is_forgotten_and_a_half_covered_one_is_in_doubt(photos: list[Photo]) -> None:
    photo = photos[0]
    whole = np.array([[1, 0, 0], [0, 1, 0]], np.float32)
    region = np.array([0, 0, 300, 300], np.float32)
    x, y, width, height = photo.faces[0, :4]
    for left, faces, doubts in ((x - 5, 1, 0), (x + width / 2, 1, 1)):
        canvas = Canvas(np.zeros((300, 300, 3), np.uint8))
        canvas.paste(photo, whole, 0.0, False, region, head_only=False)
        assert not canvas.free(np.array([x, y, x + width, y + height]))
        # Another photo, moved aside so that its own face stays in sight.
        cover = np.array([left, 0, 300, 300], np.float32)
        canvas.paste(photo, whole, 0.0, False, cover, head_only=False)
        sample = canvas.finish(canvas.image)
        assert len(sample.boxes_xyxy) + len(sample.doubtful_xyxy) >= faces
        assert len(sample.doubtful_xyxy) >= doubts


def test_cuts_beside_faces_hold_none_of_the_face(photos: list[Photo]) -> None:
    photo = photos[0]
    painted = photo.decode().copy()
    x, y, width, height = photo.faces[0, :4].astype(int)
    # Paint the face in a colour that nothing else has.
    painted[:] = (10, 200, 10)
    painted[y : y + height, x : x + width] = (250, 0, 250)
    encoded = cv2.imencode(".png", painted)[1].tobytes()
    copy = Photo(photo.name, encoded, photo.width, photo.height, photo.source, photo.faces, photo.doubtful)
    found = 0
    for seed in range(60):
        cut = cut_beside_faces(copy, 64, 64, np.random.default_rng(seed))
        if cut is not None:
            found += 1
            assert cut[..., 2].max() < 100
    assert found > 5


@pytest.mark.parametrize("side_px", [33, 128])
def test_backgrounds_have_the_size_asked_for(photos: list[Photo], side_px: int) -> None:
    for seed in range(25):
        image = draw_background(photos, side_px, np.random.default_rng(seed))
        assert image.shape == (side_px, side_px, 3)
        assert image.dtype == np.uint8


def test_degradation_keeps_size_and_type_and_leaves_its_input_alone(astronaut: Image) -> None:
    before = astronaut[:96, :128].copy()
    for seed in range(40):
        given = before.copy()
        after = degrade(given, np.random.default_rng(seed))
        assert after.shape == before.shape and after.dtype == np.uint8
        assert np.array_equal(given, before)
