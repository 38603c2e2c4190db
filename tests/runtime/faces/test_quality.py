"""quality.py on the astronaut photo and on faces drawn as five points."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from tinydf_runtime.faces.crop import CropConfig, crop_face
from tinydf_runtime.faces.quality import measure_quality
from tinydf_runtime.types import Face, Image
from tinydf_runtime.verdict.judge import LEAST_QUALITY

ASTRONAUT = Face((165, 75, 275, 220), ((198, 125), (245, 123), (222, 150), (203, 178), (243, 177)), 0.95)
GREY: Image = np.full((224, 224, 3), 128, np.uint8)


def crop_of(image: Image) -> Image:
    return np.ascontiguousarray(crop_face(image, ASTRONAUT.box_xyxy, CropConfig())[..., ::-1])


def turned(yaw_deg: float = 0.0, pitch_deg: float = 0.0, roll_deg: float = 0.0, eyes_px: float = 50.0) -> Face:
    """A head of five points in space, turned and seen from far away."""
    points = np.array([[-0.5, 0, 0], [0.5, 0, 0], [0, 0.58 * 1.04, 0.55], [-0.4, 1.04, 0], [0.4, 1.04, 0]]) * eyes_px
    yaw, pitch, roll = (math.radians(angle) for angle in (yaw_deg, pitch_deg, roll_deg))
    about_y = np.array([[math.cos(yaw), 0, math.sin(yaw)], [0, 1, 0], [-math.sin(yaw), 0, math.cos(yaw)]])
    about_x = np.array([[1, 0, 0], [0, math.cos(pitch), -math.sin(pitch)], [0, math.sin(pitch), math.cos(pitch)]])
    about_z = np.array([[math.cos(roll), -math.sin(roll), 0], [math.sin(roll), math.cos(roll), 0], [0, 0, 1]])
    seen = points @ (about_z @ about_x @ about_y).T
    side = eyes_px / 0.34
    return Face((0, 0, side, side), tuple((float(x), float(y)) for x, y, _ in seen + 60), 0.9)


def test_a_good_portrait_is_good_in_every_component(astronaut: Image) -> None:
    quality = measure_quality(crop_of(astronaut), ASTRONAUT)
    for name in type(quality).__slots__:
        # Some components do not weigh a face but tell that it is none that can be judged.
        least = LEAST_QUALITY[name][0] if name in ("fine_steps", "pattern_prevention") else 0.7
        assert getattr(quality, name) > least, name


def test_blur_takes_sharpness(astronaut: Image) -> None:
    values = [
        measure_quality(crop_of(np.asarray(cv2.GaussianBlur(astronaut, (0, 0), sigma), np.uint8)), ASTRONAUT).sharpness
        for sigma in (0.3, 1.5, 3, 6)
    ]
    assert values == sorted(values, reverse=True)
    assert values[0] > 0.7 and values[-1] < 0.2


def test_an_enlarged_face_is_not_sharp(astronaut: Image) -> None:
    small = cv2.resize(crop_of(astronaut), (24, 24), interpolation=cv2.INTER_AREA)
    enlarged = np.asarray(cv2.resize(small, (224, 224), interpolation=cv2.INTER_LINEAR), np.uint8)
    assert (
        measure_quality(enlarged, ASTRONAUT).sharpness < 0.5 * measure_quality(crop_of(astronaut), ASTRONAUT).sharpness
    )


def test_exposure_tells_black_from_white() -> None:
    dark, bright = GREY.copy(), GREY.copy()
    dark[:112], bright[:, :112] = 5, 252
    assert measure_quality(dark, ASTRONAUT).under_exposure_prevention == pytest.approx(0.5, abs=0.02)
    assert measure_quality(dark, ASTRONAUT).over_exposure_prevention == 1
    assert measure_quality(bright, ASTRONAUT).over_exposure_prevention == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("angle_deg", [-60, -40, -20, 0, 20, 40, 60])
def test_each_angle_is_read_from_five_points(angle_deg: float) -> None:
    expected = math.cos(math.radians(angle_deg)) ** 2
    assert measure_quality(GREY, turned(yaw_deg=angle_deg)).head_pose_yaw == pytest.approx(expected, abs=0.08)
    assert measure_quality(GREY, turned(roll_deg=angle_deg)).head_pose_roll == pytest.approx(expected, abs=0.02)
    nodding = measure_quality(GREY, turned(pitch_deg=angle_deg / 2)).head_pose_pitch
    assert nodding == pytest.approx(math.cos(math.radians(angle_deg / 2)) ** 2, abs=0.08)


def test_a_turned_head_is_not_a_small_one() -> None:
    assert measure_quality(GREY, turned(yaw_deg=60, eyes_px=38)).inter_eye_distance > 0.9
    assert measure_quality(GREY, turned(eyes_px=19)).inter_eye_distance == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("points", [((60.0, 60.0),) * 5, (), ((math.nan, 0.0),) * 5])
def test_without_landmarks_a_face_counts_as_straight(points: tuple[tuple[float, float], ...]) -> None:
    quality = measure_quality(GREY, Face((0, 0, 112, 112), points, 0.9))
    assert (quality.head_pose_yaw, quality.head_pose_pitch, quality.head_pose_roll) == (1, 1, 1)
    assert quality.inter_eye_distance == 1
