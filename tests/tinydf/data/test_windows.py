from collections.abc import Callable

import numpy as np
import pytest

from tinydf.data.windows import ROOM, cut_window, measure_sharpness
from tinydf_runtime.faces.crop import CropConfig, crop_face
from tinydf_runtime.types import BoxXYXY, Face, Image, Landmarks

CROP_CONFIG = CropConfig()
POINTS = tuple((float(x), 50.0) for x in range(5))


@pytest.fixture(scope="module")
def frame() -> Image:
    return np.random.default_rng(3).integers(0, 256, (180, 240, 3), np.uint8)


def stored(box: BoxXYXY) -> BoxXYXY:
    """A box as it comes back from the table's 32-bit numbers."""
    left, top, right, bottom = (float(np.float32(value)) for value in box)
    return left, top, right, bottom


@pytest.mark.parametrize("kind", ["inside", "border", "narrow", "halves", "tilted"])
def test_the_window_gives_the_very_crop_that_the_frame_gives(
    frame: Image, kind: str, tilted_points: Callable[[BoxXYXY, float], Landmarks]
) -> None:
    random = np.random.default_rng(5)
    for _ in range(60):
        width, height = random.uniform(20, 90, 2)
        if kind == "narrow":
            width /= 6
        low, high = {"inside": (70, 110), "border": (-40, 230), "tilted": (90, 100)}.get(kind, (-10, 200))
        left, top = random.uniform(low, high, 2)
        box = (left, top, left + width, top + height)
        if kind == "halves":
            left, top, right, bottom = (round(2 * value) / 2 for value in box)
            box = (left, top, right, bottom)
        # The table rounds boxes to 1/1024 px.
        left, top, right, bottom = (round(value * 1024) / 1024 for value in box)
        points = tilted_points(box, random.uniform(-180, 180)) if kind == "tilted" else POINTS
        window = cut_window(frame, Face(box, points, 0.9), CROP_CONFIG)
        if window is None:
            continue
        expected = crop_face(frame, (left, top, right, bottom), CROP_CONFIG, points)
        kept = tuple((float(np.float32(x)), float(np.float32(y))) for x, y in window.face.landmarks)
        found = crop_face(window.image, stored(window.face.box_xyxy), CROP_CONFIG, kept)
        assert np.array_equal(found, expected)


def test_a_face_half_outside_of_the_frame_still_has_a_window(frame: Image) -> None:
    window = cut_window(frame, Face((-30.0, -20.0, 40.0, 60.0), POINTS, 0.9), CROP_CONFIG)
    assert window is not None
    assert np.array_equal(window.image[:10, :10], frame[:10, :10])


def test_room_is_left_on_each_side_as_far_as_the_frame_reaches(frame: Image) -> None:
    window = cut_window(frame, Face((100.3, 60.2, 140.9, 120.7), POINTS, 0.9), CROP_CONFIG)
    assert window is not None
    height, width = window.image.shape[:2]
    left, top, right, bottom = window.face.box_xyxy
    assert min(left, top, width - right, height - bottom) >= ROOM * (bottom - top)


def test_a_face_outside_of_the_frame_has_none(frame: Image) -> None:
    assert cut_window(frame, Face((400.0, 10.0, 460.0, 80.0), POINTS, 0.9), CROP_CONFIG) is None
    assert cut_window(frame, Face((255.0, 10.0, 315.0, 70.0), POINTS, 0.9), CROP_CONFIG) is None


def test_landmarks_move_with_the_box(frame: Image) -> None:
    box = (100.0, 60.0, 140.0, 120.0)
    window = cut_window(frame, Face(box, POINTS, 0.9), CROP_CONFIG)
    assert window is not None
    moved = np.array(window.face.box_xyxy[:2]) - box[:2]
    assert np.allclose(np.array(window.face.landmarks) - moved, POINTS)


def test_a_blurred_crop_is_less_sharp(frame: Image) -> None:
    flat = np.full((64, 64, 3), 90, np.uint8)
    assert measure_sharpness(flat) == 0 < measure_sharpness(frame)
