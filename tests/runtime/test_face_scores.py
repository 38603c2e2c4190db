"""Scored faces in little memory."""

from __future__ import annotations

import copy
import pickle
import tracemalloc

import numpy as np
import pytest

from tinydf_runtime.types import FaceQuality, FaceScore, FaceScores


def face(number: int, quality: FaceQuality | None = None) -> FaceScore:
    box = (round(number * 0.37, 2), round(-number / 7, 2), 812.01 + number, 455.99)
    return FaceScore(round(number / 30, 6), number, box, 0.912345, round(number % 97 / 97, 6), quality=quality)


def some() -> list[FaceScore]:
    seen = FaceQuality(0.123, 1.0, 0.0, 0.999, 0.5, 0.001, 0.067)
    return [face(0), face(1, seen), face(5, FaceQuality()), face(1 << 40, FaceQuality(0.0)), face(7)]


def test_faces_come_back_as_they_were() -> None:
    faces = FaceScores(some())
    assert list(faces) == some() and faces == tuple(some()) and hash(faces) == hash(tuple(some()))
    assert faces[-1] == some()[-1] and faces[1:4] == tuple(some()[1:4]) and len(faces) == 5
    assert faces != some()[1:] and faces != 5
    assert all(isinstance(score.frame, int) for score in faces)
    with pytest.raises(IndexError):
        faces[5]


def test_maps_stay_with_their_faces() -> None:
    forgery_map = np.arange(9, dtype=np.uint8).reshape(3, 3)
    faces = FaceScores([face(1), FaceScore(1.0, 2, (0.0, 0.0, 9.0, 9.0), 1.0, 0.5, forgery_map), face(3)])
    assert [score.forgery_map is forgery_map for score in faces] == [False, True, False]


def test_copies_are_equal_and_apart() -> None:
    faces = FaceScores(some())
    again, copied = pickle.loads(pickle.dumps(faces)), copy.deepcopy(faces)
    faces.append(face(9))
    assert again == copied == some() and len(faces) == 6


def test_an_hour_takes_less_than_two_megabytes() -> None:
    quality = FaceQuality(0.5)
    tracemalloc.start()
    try:
        faces = FaceScores(face(number, quality) for number in range(18_000))
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(faces) == 18_000 and taken < 2e6
