"""scene.py on the astronaut photo."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tinydf_runtime.faces.scene import is_scene_cut
from tinydf_runtime.types import Image


def _warp(image: Image, shift_px: int, zoom: float) -> Image:
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 0, zoom)
    matrix[:, 2] += shift_px
    return np.asarray(cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT), np.uint8)


def test_same_picture_is_no_cut_at_any_size(astronaut: Image) -> None:
    half = np.asarray(cv2.resize(astronaut, None, fx=0.5, fy=0.5), np.uint8)
    assert not is_scene_cut(astronaut, astronaut)
    assert not is_scene_cut(astronaut, half)
    assert not is_scene_cut(astronaut[:1, :1], astronaut[:1, :1])


@pytest.mark.parametrize(("shift_px", "zoom"), [(10, 1.0), (-25, 1.0), (0, 1.08), (20, 0.93)])
def test_camera_movement_is_no_cut(astronaut: Image, shift_px: int, zoom: float) -> None:
    assert not is_scene_cut(astronaut, _warp(astronaut, shift_px, zoom))


@pytest.mark.parametrize("gain", [0.75, 1.25])
def test_light_and_noise_are_no_cut(astronaut: Image, gain: float) -> None:
    noise = np.random.default_rng(0).normal(0, 8, astronaut.shape)
    assert not is_scene_cut(astronaut, (astronaut * gain + noise).clip(0, 255).astype(np.uint8))


def test_something_passing_in_front_is_no_cut(astronaut: Image) -> None:
    passed = astronaut.copy()
    passed[100:400, 300:450] = (20, 120, 30)
    assert not is_scene_cut(astronaut, passed)


def test_square_moving_over_a_flat_background_is_no_cut() -> None:
    first, second = (np.full((240, 320, 3), 90, np.uint8) for _ in range(2))
    first[50:110, 20:80] = (0, 0, 255)
    second[50:110, 200:260] = (0, 0, 255)
    assert not is_scene_cut(first, second)


def test_other_pictures_are_a_cut(astronaut: Image) -> None:
    negative = 255 - astronaut
    mirrored_blue = np.ascontiguousarray(astronaut[::-1, :, ::-1])
    flat = np.full_like(astronaut, (200, 120, 40))
    for other in (negative, mirrored_blue, flat):
        assert is_scene_cut(astronaut, other) and is_scene_cut(other, astronaut)
    assert is_scene_cut(flat, np.full_like(flat, (30, 60, 200)))
