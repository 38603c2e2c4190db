"""Scored faces -> the bounded few that are kept."""

from __future__ import annotations

import numpy as np

from tinydf_runtime.faces.exemplars import (
    APART_S,
    SPREAD_PLACES,
    SUSPICIOUS_PLACES,
    TOTAL_PLACES,
    Exemplar,
    Exemplars,
)
from tinydf_runtime.types import FaceScore

CROP = np.zeros((224, 224, 3), np.uint8)
MAP = np.full((14, 14), 0.5, np.float32)


def face(number: int, probability: float = 0.1, side_px: float = 100.0) -> FaceScore:
    return FaceScore(number / 5, number, (0.0, 0.0, side_px, side_px), 0.9, probability)


def filled(count: int, tracks: int = 1) -> Exemplars:
    exemplars = Exemplars()
    for number in range(count):
        for track in range(1, tracks + 1):
            exemplars.offer(track, face(number, (number * 37 % 101) / 200 + track / (2 * tracks + 1)), CROP, MAP)
    return exemplars


def of(exemplars: Exemplars, track: int, why: str) -> list[Exemplar]:
    return [picture for picture in exemplars.pictures(track) if picture.why == why]


def test_an_unknown_track_has_no_pictures() -> None:
    assert Exemplars().pictures(3) == () and Exemplars().tracks == ()


def test_the_most_suspicious_and_the_largest_face_are_kept_with_their_crops() -> None:
    exemplars = Exemplars()
    for number in range(300):
        probability, side_px = (0.9 if number == 133 else 0.2), (180.0 if number == 71 else 90.0)
        exemplars.offer(1, face(number, probability, side_px), np.full_like(CROP, number % 251), MAP)
    (suspicious,) = [picture for picture in of(exemplars, 1, "suspicious") if picture.record.fake_probability == 0.9]
    assert suspicious.record.frame == 133 and (suspicious.crop == 133).all() and (suspicious.forgery_map == 128).all()
    assert 71 in [picture.record.frame for picture in of(exemplars, 1, "best")]


def test_suspicious_pictures_lie_apart_in_time() -> None:
    exemplars = Exemplars()
    for number in range(200):
        exemplars.offer(1, face(number, 0.99 - abs(number - 100) / 1000), CROP, MAP)
    times = [picture.record.time_s for picture in of(exemplars, 1, "suspicious")]
    assert len(times) == SUSPICIOUS_PLACES and 20.0 in times
    assert min(np.diff(times)) >= APART_S - 1e-9


def test_spread_pictures_cover_the_whole_time_evenly() -> None:
    exemplars = Exemplars()
    for number in range(1000):
        exemplars.offer(1, face(number), CROP, MAP)
    frames = [picture.record.frame for picture in exemplars.pictures(1)]
    assert frames[0] == 0 and frames[-1] >= 700
    assert max(np.diff(frames)) <= 1000 / (SPREAD_PLACES / 2)


def test_the_album_is_bounded_and_keeps_the_most_suspicious_people() -> None:
    exemplars = filled(60, tracks=150)
    pictures = [exemplars.pictures(track) for track in exemplars.tracks]
    assert sum(len(part) for part in pictures) <= TOTAL_PLACES
    assert exemplars.pictures(150) and not exemplars.pictures(1)
    assert len(exemplars.pictures(150)) > 4


def test_a_long_video_takes_no_more_places_than_a_short_one() -> None:
    assert len(filled(5000).pictures(1)) <= SUSPICIOUS_PLACES + SPREAD_PLACES + 2


def test_what_is_kept_does_not_depend_on_chance() -> None:
    first, second = filled(120, tracks=20), filled(120, tracks=20)
    assert first.tracks == second.tracks
    for track in first.tracks:
        kept = [(picture.record, picture.why) for picture in first.pictures(track)]
        assert kept == [(picture.record, picture.why) for picture in second.pictures(track)]


def test_a_kept_crop_is_a_copy() -> None:
    batch = np.zeros((8, 224, 224, 3), np.uint8)
    exemplars = Exemplars()
    exemplars.offer(1, face(0), batch[3], MAP)
    batch[:] = 9
    assert (exemplars.pictures(1)[0].crop == 0).all()
