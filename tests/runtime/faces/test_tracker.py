"""tracker.py: who keeps a number, and who must not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest

from tinydf_runtime.errors import UsageError
from tinydf_runtime.faces.detector import FaceDetector
from tinydf_runtime.faces.tracker import FaceTracker
from tinydf_runtime.types import Face, Frame, Image

Colour = tuple[int, int, int]
LIGHT: Colour = (150, 190, 230)
DARK: Colour = (50, 70, 110)


def _face(x: float, y: float = 150, side: float = 60, score: float = 0.9) -> Face:
    box = (x - side / 2, y - side / 2, x + side / 2, y + side / 2)
    return Face(box, ((x, y),) * 5, score)


def _frame(index: int, time_s: float, image: Image | None = None) -> Frame:
    return Frame(index, time_s, np.full((300, 900, 3), 90, np.uint8) if image is None else image)


def _drawn(time_s: float, index: int, faces: Iterable[tuple[Face, Colour]]) -> Frame:
    image = np.full((300, 900, 3), 90, np.uint8)
    for face, colour in faces:
        left, top, right, bottom = (max(0, round(value)) for value in face.box_xyxy)
        image[top:bottom, left:right] = colour
    return Frame(index, time_s, image)


def _follow(rows: list[list[Face]], fps: float = 5.0, tracker: FaceTracker | None = None) -> list[list[int]]:
    tracker = tracker or FaceTracker()
    return [
        [track for track, _ in tracker.update(_frame(index, index / fps), faces)] for index, faces in enumerate(rows)
    ]


def test_still_face_keeps_one_id_and_ids_start_at_one() -> None:
    assert _follow([[_face(200)]] * 10) == [[1]] * 10


def test_each_tracker_counts_for_itself() -> None:
    assert _follow([[_face(200), _face(500)]]) == _follow([[_face(200), _face(500)]]) == [[1, 2]]


@pytest.mark.parametrize(("fps", "step_px"), [(5.0, 90), (5.0, -90), (25.0, 20), (2.0, 120), (1.0, 100)])
def test_walking_person_keeps_one_id_at_any_sample_rate(fps: float, step_px: float) -> None:
    start = 60 if step_px > 0 else 840
    assert _follow([[_face(start + step_px * step)] for step in range(8)], fps) == [[1]] * 8


def test_track_survives_a_one_frame_gap() -> None:
    rows = [[_face(100 + 40 * step)] for step in range(8)]
    rows[4] = []
    assert _follow(rows) == [[1], [1], [1], [1], [], [1], [1], [1]]


def test_face_missed_for_longer_comes_back_under_a_new_id() -> None:
    assert _follow([[_face(200)], [], [], [_face(200)]])[-1] == [1]
    assert _follow([[_face(200)], *([[]] * 6), [_face(200)]])[-1] == [2]
    assert _follow([[_face(200)], [], [_face(200)]], tracker=FaceTracker(max_gap_s=0))[-1] == [2]


def test_two_faces_keep_their_ids_in_whatever_order_they_come() -> None:
    random = np.random.default_rng(3)
    tracker = FaceTracker()
    for step in range(30):
        left, right = _face(250 + random.normal(0, 6)), _face(380 + random.normal(0, 6), side=66)
        faces = [left, right] if step % 2 else [right, left]
        found = {face: track for track, face in tracker.update(_frame(step, step / 5), faces)}
        assert (found[left], found[right]) == (2, 1)


@pytest.mark.parametrize("fps", [5.0, 10.0, 25.0])
def test_two_people_who_cross_do_not_swap(fps: float) -> None:
    tracker = FaceTracker()
    for index in range(int(4 * fps)):
        time_s = index / fps
        one, two = _face(150 + 150 * time_s), _face(750 - 150 * time_s, y=165)
        frame = _drawn(time_s, index, [(two, DARK), (one, LIGHT)])
        found = {face: track for track, face in tracker.update(frame, [one, two])}
        assert (found[one], found[two]) == (1, 2)


def test_crossing_people_of_one_look_keep_their_direction() -> None:
    tracker = FaceTracker()
    for index in range(40):
        time_s = index / 10
        one, two = _face(150 + 150 * time_s), _face(750 - 150 * time_s, y=170)
        found = {face: track for track, face in tracker.update(_frame(index, time_s), [two, one])}
        assert (found[one], found[two]) == (2, 1)


def test_person_hidden_behind_another_while_crossing_comes_back_as_before() -> None:
    tracker = FaceTracker()
    tracks: dict[str, set[int]] = {"one": set(), "two": set()}
    for index in range(20):
        time_s = index / 5
        one, two = _face(150 + 150 * time_s), _face(750 - 150 * time_s, y=160)
        hidden = abs(one.box_xyxy[0] - two.box_xyxy[0]) < 40
        frame = _drawn(time_s, index, [(two, DARK), (one, LIGHT)])
        found = {face: track for track, face in tracker.update(frame, [one] if hidden else [one, two])}
        tracks["one"].add(found[one])
        if not hidden:
            tracks["two"].add(found[two])
    assert tracks == {"one": {1}, "two": {2}}


def test_weak_face_continues_a_track_but_begins_none() -> None:
    rows = [
        [_face(200, score=0.3)],
        [_face(200, score=0.9), _face(600, score=0.3)],
        [_face(204, score=0.3), _face(600, score=0.3)],
        [_face(208, score=0.9)],
    ]
    assert _follow(rows) == [[], [1], [1], [1]]


def test_strong_face_is_chosen_before_a_weak_one() -> None:
    tracker = FaceTracker()
    tracker.update(_frame(0, 0.0), [_face(200)])
    weak, strong = _face(200, score=0.3), _face(212)
    assert tracker.update(_frame(1, 0.2), [weak, strong]) == [(1, strong)]


def test_weak_face_does_not_revive_a_lost_track() -> None:
    assert _follow([[_face(200)], [], [_face(200, score=0.3)], [_face(200)]]) == [[1], [], [], [1]]


def test_face_far_away_or_of_another_size_is_another() -> None:
    assert _follow([[_face(100)], [_face(600)]]) == [[1], [2]]
    assert _follow([[_face(300, side=40)], [_face(300, side=120)]]) == [[1], [2]]


def test_face_some_way_off_is_joined_only_when_it_looks_alike() -> None:
    for colour, expected in ((LIGHT, 1), (DARK, 2)):
        tracker = FaceTracker()
        tracker.update(_drawn(0.0, 0, [(_face(200), LIGHT)]), [_face(200)])
        ((track, _),) = tracker.update(_drawn(0.2, 1, [(_face(290), colour)]), [_face(290)])
        assert track == expected


ASTRONAUT = Face((165, 75, 275, 220), ((198, 125), (245, 123), (222, 150), (203, 178), (243, 177)), 0.95)


def _portrait(astronaut: Image, hue: int = 0, x: float = 0.0) -> tuple[Image, Face]:
    """The astronaut, moved sideways; with another hue she is somebody else, turned upside down in what she wears."""
    image = astronaut
    if hue:
        hsv = cv2.cvtColor(astronaut, cv2.COLOR_BGR2HSV)
        hsv[..., 0] = (hsv[..., 0].astype(int) + hue) % 180
        image = np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR), np.uint8)
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), 6), np.uint8)
    moved = np.asarray(np.roll(image, round(x), axis=1), np.uint8)
    box, points = ASTRONAUT.box_xyxy, ASTRONAUT.landmarks
    return moved, Face((box[0] + x, box[1], box[2] + x, box[3]), tuple((px + x, py) for px, py in points), 0.95)


def test_a_cut_gives_another_person_a_new_id_and_the_first_one_the_old_id_back(astronaut: Image) -> None:
    tracker, ids = FaceTracker(), []
    for index, hue in enumerate([0, 0, 0, 90, 90, 90, 0, 0, 90]):
        image, face = _portrait(astronaut, hue, x=4.0 * (index % 3))
        shown = np.ascontiguousarray(image if hue == 0 else np.where(image > 250, image, 255 - image))
        ids.append(tracker.update(_frame(index, index / 5, shown), [face])[0][0])
    assert ids == [1, 1, 1, 2, 2, 2, 1, 1, 2]


def test_a_person_keeps_the_id_over_an_absence_of_any_length(astronaut: Image) -> None:
    tracker = FaceTracker()
    image, face = _portrait(astronaut)
    assert tracker.update(_frame(0, 0.0, image), [face])[0][0] == 1
    for index in range(1, 60):
        assert tracker.update(_frame(index, index / 5, image), []) == []
    moved, there = _portrait(astronaut, x=90)
    assert tracker.update(_frame(60, 12.0, moved), [there])[0][0] == 1


def test_who_is_in_the_picture_already_gives_nobody_else_the_id(astronaut: Image) -> None:
    twins = np.ascontiguousarray(np.hstack([astronaut[:, :400], astronaut[:, :400]]))
    _, second = _portrait(astronaut, x=400)
    tracker = FaceTracker()
    assert [track for track, _ in tracker.update(_frame(0, 0.0, twins), [ASTRONAUT])] == [1]
    assert [track for track, _ in tracker.update(_frame(1, 0.2, twins), [ASTRONAUT, second])] == [1, 2]


def test_change_of_picture_size_and_faces_beyond_the_border_are_followed() -> None:
    tracker = FaceTracker()
    outside = Face((-200.0, -200.0, -100.0, -100.0), ((0.0, 0.0),) * 5, 0.9)
    for index, (height, width) in enumerate([(300, 900), (600, 1800), (8, 8)]):
        frame = _frame(index, index / 5, np.full((height, width, 3), 90, np.uint8))
        assert [track for track, _ in tracker.update(frame, [outside, _face(880)])] == [1, 2]


def test_no_faces_give_no_tracks_and_repeated_times_do_no_harm() -> None:
    tracker = FaceTracker()
    assert tracker.update(_frame(0, 0.0), []) == []
    for _ in range(4):
        assert [track for track, _ in tracker.update(_frame(0, 0.0), [_face(200)])] == [1]


def test_open_tracks_stay_few_however_long_the_video() -> None:
    random = np.random.default_rng(0)
    tracker = FaceTracker()
    sizes = []
    for index in range(400):
        faces = [_face(float(x), float(y)) for x, y in random.uniform((40, 40), (860, 260), (3, 2))]
        tracker.update(_frame(index, index / 5), faces)
        sizes.append(len(tracker._open))
    # Three faces a frame, five frames a second, each remembered for a second.
    assert max(sizes) <= 3 * 7


def test_negative_gap_is_refused() -> None:
    with pytest.raises(UsageError, match="max_gap_s"):
        FaceTracker(max_gap_s=-1)


def test_faces_of_the_hand_made_detector_are_followed(draw_squares: Callable[..., Image], tiny_detector: Path) -> None:
    detector, tracker = FaceDetector(tiny_detector), FaceTracker()
    for index in range(8):
        x = 20 + 25 * index
        image = draw_squares(red_xyxy=(x, 30, x + 50, 90), blue_xyxy=(250 - x, 130, 300 - x, 190))
        found = tracker.update(Frame(index, index / 5, image), detector.detect(image))
        assert [track for track, _ in found] == [1, 2]
