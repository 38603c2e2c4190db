"""faces/crop.py: a face tilted far is turned upright, others are cut as they stand, and maps find back."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tinydf_runtime.faces.crop import CropConfig, crop_face, crop_square_xyxy, lay_over_picture
from tinydf_runtime.types import BoxXYXY, Face, Image

CONFIG = CropConfig()
FACE = Face(
    (178.0, 68.0, 271.0, 180.0), ((203.0, 113.0), (244.0, 112.0), (224.0, 138.0), (208.0, 152.0), (240.0, 151.0)), 0.9
)


def turned(image: Image, face: Face, degrees: float, scale: float = 1.0) -> tuple[Image, Face]:
    """Returns a picture scaled and turned clockwise about a face, and the face there, its box of the same shape."""
    left, top, right, bottom = face.box_xyxy
    middle = ((left + right) / 2, (top + bottom) / 2)
    side = round(2.5 * scale * (bottom - top))
    matrix = cv2.getRotationMatrix2D(middle, -degrees, scale)
    matrix[0, 2] += side / 2 - middle[0]
    matrix[1, 2] += side / 2 - middle[1]
    picture = cv2.warpAffine(image, matrix, (side, side), flags=cv2.INTER_CUBIC)
    points = np.array(face.landmarks) @ matrix[:, :2].T + matrix[:, 2]
    half_x, half_y = scale * (right - left) / 2, scale * (bottom - top) / 2
    box = (side / 2 - half_x, side / 2 - half_y, side / 2 + half_x, side / 2 + half_y)
    return np.asarray(picture, np.uint8), Face(box, tuple((x, y) for x, y in points.tolist()), face.score)


def difference(one: Image, other: Image) -> float:
    """Mean difference of what is no grain."""
    return float(np.abs(cv2.GaussianBlur(one, (0, 0), 2).astype(float) - cv2.GaussianBlur(other, (0, 0), 2)).mean())


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.5, 5.0])
@pytest.mark.parametrize("degrees", [-150.0, -90.0, -35.0, 30.0, 90.0, 180.0])
def test_a_tilted_face_of_any_size_is_cut_as_the_upright_one(astronaut: Image, degrees: float, scale: float) -> None:
    upright = crop_face(*flat(*turned(astronaut, FACE, 0, scale)))
    picture, face = turned(astronaut, FACE, degrees, scale)
    as_it_stands = crop_face(picture, face.box_xyxy, CONFIG)
    found = crop_face(picture, face.box_xyxy, CONFIG, face.landmarks)
    assert difference(found, upright) < difference(as_it_stands, upright) / 4


@pytest.mark.parametrize("degrees", [-18.0, 0.0, 18.0])
def test_a_face_that_leans_a_little_keeps_its_pixels(astronaut: Image, degrees: float) -> None:
    picture, face = turned(astronaut, FACE, degrees)
    expected = crop_face(picture, face.box_xyxy, CONFIG)
    assert np.array_equal(crop_face(picture, face.box_xyxy, CONFIG, face.landmarks), expected)


@pytest.mark.parametrize("landmarks", [(), ((1.0, 2.0),) * 5, ((float("nan"), 1.0),) * 5, FACE.landmarks[:4]], ids=str)
def test_without_usable_landmarks_a_face_is_cut_as_it_stands(
    astronaut: Image, landmarks: tuple[tuple[float, float], ...]
) -> None:
    expected = crop_face(astronaut, FACE.box_xyxy, CONFIG)
    assert np.array_equal(crop_face(astronaut, FACE.box_xyxy, CONFIG, landmarks), expected)


def test_a_tilted_face_at_the_border_is_cut_from_mirrored_surroundings(astronaut: Image) -> None:
    picture, face = turned(astronaut, FACE, 40)
    wide, beyond = np.pad(picture, ((300, 300), (300, 300), (0, 0)), "reflect"), moved(face, 300)
    expected = crop_face(wide, beyond.box_xyxy, CONFIG, beyond.landmarks)
    left, top, right, bottom = (int(value) for value in face.box_xyxy)
    part = np.ascontiguousarray(picture[top:bottom, left:right])
    found = crop_face(part, moved(face, -left, -top).box_xyxy, CONFIG, moved(face, -left, -top).landmarks)
    middle = np.s_[70:154, 70:154]
    assert np.array_equal(found[middle], expected[middle]) and found.shape == (224, 224, 3)


@pytest.mark.parametrize("degrees", [-60.0, 45.0, 180.0])
def test_a_map_of_a_turned_crop_lies_over_the_same_part_of_the_face_in_the_picture(
    astronaut: Image, degrees: float
) -> None:
    _, face = turned(astronaut, FACE, degrees, 2.0)
    x0, y0, x1, _ = crop_square_xyxy(face.box_xyxy, CONFIG.margin)
    # Bright where the right eye is in the crop.
    crop_map = np.zeros((56, 56), np.float32)
    upright, (left, top, right, _) = FACE.landmarks[0], crop_square_xyxy(FACE.box_xyxy, CONFIG.margin)
    x, y = (np.array(upright) - (left, top)) / (right - left) * 56
    crop_map[round(y) - 2 : round(y) + 2, round(x) - 2 : round(x) + 2] = 1
    laid = lay_over_picture(crop_map, face)
    rows, columns = np.nonzero(laid > 0.5)
    seen = np.array((columns.mean(), rows.mean())) / 56 * (x1 - x0) + (x0, y0)
    assert np.hypot(*(seen - face.landmarks[0])) < 0.04 * (x1 - x0)
    assert lay_over_picture(crop_map, replace(face, landmarks=())) is crop_map


def flat(picture: Image, face: Face) -> tuple[Image, BoxXYXY, CropConfig]:
    return picture, face.box_xyxy, CONFIG


def moved(face: Face, x_px: float, y_px: float | None = None) -> Face:
    shift: NDArray[np.float64] = np.array((x_px, x_px if y_px is None else y_px), np.float64)
    left, top, right, bottom = (np.array(face.box_xyxy) + np.tile(shift, 2)).tolist()
    return Face((left, top, right, bottom), tuple((x, y) for x, y in (face.landmarks + shift).tolist()), face.score)
