"""Synthetic drawn faces for the demo and the tests: no real person, known landmarks, no download."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tinydf.data.manifest import Split
from tinydf.data.mean_face import FIVE_POINTS, GROUPS, MODES, place_mean_face
from tinydf.data.photometry import add_noise, as_image, blur
from tinydf.data.photos import COLUMNS, CSV_NAME
from tinydf_runtime.io.files import write_atomically
from tinydf_runtime.types import Face, Image

SIDE_PX = 256


def draw_face(rng: Generator) -> tuple[Image, Face]:
    """Draws one face before a blurred background.

    Returns:
        256 x 256 x 3, BGR, uint8, and the face in it.
    """
    image = _background(rng)
    eye_distance_px = rng.uniform(48, 62)
    tilt = rng.normal(0, 0.08)
    factor = eye_distance_px / (FIVE_POINTS[1, 0] - FIVE_POINTS[0, 0])
    rotation = np.array(((np.cos(tilt), -np.sin(tilt)), (np.sin(tilt), np.cos(tilt))))
    landmarks = (FIVE_POINTS - 0.5) @ rotation.T * factor + SIDE_PX / 2 + rng.normal(0, 6, 2)
    points = place_mean_face(landmarks, rng.normal(0, 1, len(MODES)))
    skin = np.array((0.62, 0.75, 1.0)) * rng.uniform(90, 235)
    hair = np.array((0.5, 0.7, 0.9)) * rng.uniform(10, 160)

    outline = np.concatenate((points[GROUPS["jaw"]], points[GROUPS["hairline"]]))
    centre = outline.mean(axis=0)
    _fill(image, centre + (outline - centre) * (1.18, 1.12) - (0, 0.08 * factor), hair)
    _fill(image, centre + (outline[:15] - centre) * (0.6, 0.5) + (0, 0.55 * factor), skin * 0.8)
    _fill(image, outline, skin)
    image = _shade(image, outline, centre, rng)
    for brow in ("right_brow", "left_brow"):
        cv2.polylines(image, [_fixed(points[GROUPS[brow]])], False, hair.tolist(), 5, cv2.LINE_AA, 4)
    _fill(image, points[GROUPS["nose"]][1:], skin * 0.75)
    _fill(image, points[GROUPS["mouth"]], np.array((90, 70, 170)) * rng.uniform(0.6, 1.1))
    for eye in landmarks[:2]:
        _draw_eye(image, eye, eye_distance_px, rng)
    image = add_noise(blur(image, rng.uniform(0.5, 0.9)), rng.uniform(2, 5), rng)
    (left, top), (right, bottom) = outline.min(axis=0), outline.max(axis=0)
    face = Face((float(left), float(top), float(right), float(bottom)), tuple(map(tuple, landmarks.tolist())), 1.0)
    return image, face


def write_drawn_faces(folder: Path, count: int, seed: int = 0) -> None:
    """Writes a folder of drawn faces with its ``faces.csv``: three quarters to train, the rest to validate.

    Raises:
        OutputError: A file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    table = io.StringIO()
    rows = csv.writer(table)
    rows.writerow(COLUMNS)
    for index in range(count):
        image, face = draw_face(np.random.default_rng((seed, index)))
        name = f"drawn-{index:04d}.png"
        write_atomically(folder / name, cv2.imencode(".png", image)[1].tobytes())
        left, top, right, bottom = face.box_xyxy
        points = [value for point in face.landmarks for value in point]
        split: Split = "val" if index % 4 == 3 else "train"
        values = json.dumps([[left, top, right - left, bottom - top, *points, face.score]])
        rows.writerow((name, "drawn", f"drawn-{index}", split, values))
    write_atomically(folder / CSV_NAME, table.getvalue().encode())


def _background(rng: Generator) -> Image:
    coarse = rng.integers(20, 235, (5, 5, 3)).astype(np.uint8)
    return as_image(cv2.resize(coarse, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_CUBIC))


def _fixed(points: NDArray[np.float64]) -> NDArray[np.int32]:
    # OpenCV draws with 4 fractional bits.
    return np.asarray((points * 16).round(), dtype=np.int32)


def _fill(image: Image, points: NDArray[np.float64], colour: NDArray[np.float64]) -> None:
    """Fills the convex hull of the points, in place: ``image`` is the drawer's own."""
    cv2.fillConvexPoly(image, cv2.convexHull(_fixed(points)), colour.tolist(), cv2.LINE_AA, 4)


def _shade(image: Image, outline: NDArray[np.float64], centre: NDArray[np.float64], rng: Generator) -> Image:
    """Lights the head from one side and gives the skin a grain."""
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX]
    direction = rng.uniform(0, 2 * np.pi)
    light = ((x - centre[0]) * np.cos(direction) + (y - centre[1]) * np.sin(direction)) / np.ptp(outline[:, 0])
    pores = cv2.resize(rng.normal(0, 1, (96, 96)).astype(np.float32), (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_CUBIC)
    lit = image * (1 + 0.35 * light + 0.04 * pores)[..., None]
    return as_image(np.clip(lit, 0, 255))


def _draw_eye(image: Image, centre: NDArray[np.float64], eye_distance_px: float, rng: Generator) -> None:
    at = tuple(_fixed(centre).tolist())
    size = (round(eye_distance_px * 0.21 * 16), round(eye_distance_px * 0.1 * 16))
    cv2.ellipse(image, at, size, 0, 0, 360, (235, 235, 235), -1, cv2.LINE_AA, 4)
    iris = tuple(rng.integers(30, 140, 3).tolist())
    cv2.circle(image, at, round(eye_distance_px * 0.1 * 16), iris, -1, cv2.LINE_AA, 4)
    cv2.circle(image, at, round(eye_distance_px * 0.045 * 16), (10, 10, 10), -1, cv2.LINE_AA, 4)
