"""track.py: who keeps a number, and who must not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

from tinydf_runtime.detect import FaceDetector
from tinydf_runtime.errors import UsageError
from tinydf_runtime.track import FaceTracker
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


def test_ids_never_cross_a_cut(astronaut: Image) -> None:
    face = Face((165, 70, 275, 225), ((220, 150),) * 5, 0.9)
    tracker = FaceTracker()
    negative = np.ascontiguousarray(255 - astronaut)
    pictures = [astronaut, astronaut, negative, negative, astronaut]
    ids = [tracker.update(_frame(index, index / 5, image), [face])[0][0] for index, image in enumerate(pictures)]
    assert ids == [1, 1, 2, 2, 3]


def test_cut_without_faces_closes_tracks_too(astronaut: Image) -> None:
    face = Face((165, 70, 275, 225), ((220, 150),) * 5, 0.9)
    tracker = FaceTracker()
    assert tracker.update(_frame(0, 0.0, astronaut), [face])[0][0] == 1
    assert tracker.update(_frame(1, 0.2, np.ascontiguousarray(255 - astronaut)), []) == []
    assert tracker.update(_frame(2, 0.4, astronaut), [face])[0][0] == 2


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
