"""Boxes, labels, forgery maps and the timeline."""

from __future__ import annotations

import numpy as np
import pytest

from tinydf_runtime.render.draw import (
    CLEAR_HEAT,
    COLOURS,
    NO_COLOUR,
    DrawnFace,
    Sizes,
    Zones,
    colour_of,
    draw_face,
    draw_heat,
    draw_plate,
    draw_timeline,
    paint_timeline,
    plate_size,
    timecode,
)


def test_each_zone_has_the_colour_of_the_page() -> None:
    zones = Zones(0.5, 0.8)
    assert [zones.side(p) for p in (0.0, 0.49, 0.5, 0.79, 0.8, 1.0)] == [
        *("real", "real", "inconclusive", "inconclusive", "fake", "fake")
    ]
    for side, colour in COLOURS.items():
        blue, green, red = colour_of(side)
        assert f"#{red:02x}{green:02x}{blue:02x}" == colour
    assert colour_of("no_face") == NO_COLOUR


@pytest.mark.parametrize("size", [(16, 16), (120, 160), (480, 854), (1080, 1920), (1920, 1080)])
@pytest.mark.parametrize("box", [(10.0, 10.0, 60.0, 70.0), (-30.0, -20.0, 15.0, 12.0), (0.0, 0.0, 5000.0, 5000.0)])
def test_faces_are_drawn_into_any_picture_wherever_they_lie(
    size: tuple[int, int], box: tuple[float, float, float, float]
) -> None:
    image = np.zeros((*size, 3), np.uint8)
    draw_face(image, DrawnFace(1, box, 0.7, "fake", np.ones((14, 14), np.float32)), 0.1)
    assert image.any()


def test_a_box_beyond_the_picture_leaves_its_middle_alone() -> None:
    image = np.zeros((480, 640, 3), np.uint8)
    draw_heat(image, (700, 0, 800, 100), np.ones((14, 14), np.float32))
    assert not image.any()


def test_the_forgery_map_shows_where_it_is_hot_and_nothing_where_it_is_cold() -> None:
    image = np.full((100, 100, 3), 120, np.uint8)
    forgery_map = np.zeros((14, 14), np.float32)
    forgery_map[:, 7:] = 1
    draw_heat(image, (0, 0, 100, 100), forgery_map)
    assert (image[:, :40] == 120).all()
    assert (np.abs(image[:, 60:].astype(int) - 120).max(axis=2) > 20).all()
    image[:] = 120
    draw_heat(image, (0, 0, 100, 100), np.full((14, 14), CLEAR_HEAT - 0.01, np.float32))
    assert (image == 120).all()


@pytest.mark.parametrize(("height", "width"), [(480, 854), (720, 1280), (1080, 1920)])
def test_letters_are_legible_and_their_plate_is_small(height: int, width: int) -> None:
    sizes = Sizes.for_picture(height, width)
    assert sizes.text_px >= 15
    plate_width, plate_height = plate_size("#12 fake 100%", sizes)
    assert plate_width < width / 4 and plate_height < height / 15


def test_text_has_soft_edges() -> None:
    image = np.zeros((200, 400, 3), np.uint8)
    draw_plate(image, "#1 fake 87%", (20, 20), colour_of("fake"), Sizes.for_picture(480, 640))
    assert len(np.unique(image.max(axis=2))) > 10


def test_the_timeline_is_grey_where_a_face_was_not_seen() -> None:
    times, probabilities = np.arange(5, 10, 0.2), np.full(25, 1.0)
    strip = paint_timeline([(times, probabilities)], 10.0, 0.1, Zones(0.5, 0.8), (100, 8))
    assert len(np.unique(strip[0, :49], axis=0)) == 1
    assert (strip[0, 51:97] == colour_of("fake")).all()


def test_a_timeline_without_tracks_is_grey() -> None:
    assert len(np.unique(paint_timeline([], 10.0, 0.1, Zones(0.5, 0.8), (100, 8)).reshape(-1, 3), axis=0)) == 1


@pytest.mark.parametrize(
    ("time_s", "text"), [(0.0, "0:00.0"), (59.96, "1:00.0"), (61.5, "1:01.5"), (3600.0, "60:00.0")]
)
def test_times_read_as_minutes_and_seconds(time_s: float, text: str) -> None:
    assert timecode(time_s) == text


@pytest.mark.parametrize(("height", "width"), [(2, 2), (1, 600), (600, 1), (20, 40)])
def test_a_picture_without_room_for_a_timeline_gets_none(height: int, width: int) -> None:
    strip = paint_timeline([], 1.0, 0.1, Zones(0.5, 0.8), (max(1, width - 20), 9))
    draw_timeline(np.zeros((height, width, 3), np.uint8), strip, 0.5, 1.0)
