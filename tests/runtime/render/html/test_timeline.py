"""Scores over time -> inline SVG."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from tinydf_runtime.render.draw import Zones
from tinydf_runtime.render.html.timeline import MOST_POINTS, timeline_of
from tinydf_runtime.results import Gap, InputReport, Segment, Timing, TrackReport
from tinydf_runtime.types import FaceScore


def item_of(
    points: Sequence[tuple[float, float]],
    segments: tuple[Segment, ...] = (),
    gaps: tuple[Gap, ...] = (),
    duration_s: float | None = 10.0,
) -> InputReport:
    scores = tuple(FaceScore(t, round(t * 25), (0.0, 0.0, 99.0, 99.0), 0.9, p) for t, p in points)
    track = TrackReport(1, scores[0].time_s, scores[-1].time_s, "real", 0.4, len(scores), (), scores)
    return InputReport(
        path="a.mp4",
        sha256=None,
        kind="video",
        status="ok",
        width=640,
        height=360,
        fps=25.0,
        duration_s=duration_s,
        rotation_deg=0,
        frames_decoded=1,
        frames_expected=None,
        frames_scored=1,
        verdict="real",
        fake_probability=0.4,
        reasons=(),
        message=None,
        tracks=(track,),
        segments=segments,
        timing=Timing(),
        gaps=gaps,
    )


def drawn(item: InputReport, threshold: float = 0.6) -> str:
    return timeline_of(item.tracks[0], item, Zones(0.4, threshold), "p")


def paths(text: str, kind: str) -> list[str]:
    return re.findall(rf'<path class="{kind}"[^>]* d="([^"]*)"', text)


def every(step_s: float, end_s: float, probability: float = 0.4) -> list[tuple[float, float]]:
    return [(i * step_s, probability) for i in range(round(end_s / step_s))]


def test_time_runs_to_the_right_and_forged_is_up() -> None:
    (dots,) = paths(drawn(item_of([(0.0, 0.25), (5.0, 1.0), (10.0, 0.0)])), "dots")
    assert dots == "M0.0,75.0h.01M500.0,0.0h.01M1000.0,100.0h.01"


def test_the_threshold_lies_at_its_height_and_the_paint_changes_there() -> None:
    text = drawn(item_of(every(0.2, 10)), threshold=0.7)
    assert paths(text, "rule") == ["M0,30.0H1000"]
    assert re.findall(r'offset="([^"]*)"', text) == ["0.3000", "0.3000", "0.6000", "0.6000"]
    assert "bottom:70.00%" in text and "threshold 70%" in text


def test_no_line_is_drawn_where_the_person_was_not_seen() -> None:
    seen = [point for point in every(0.2, 10) if not 3 < point[0] < 7]
    assert len(paths(drawn(item_of(seen)), "line")) == 2
    assert len(paths(drawn(item_of(every(0.2, 10))), "line")) == 1


def test_one_look_is_a_mark() -> None:
    text = drawn(item_of([(4.0, 0.5)]))
    assert paths(text, "line") == ["M400.0,50.0h.01"]


def test_segments_and_gaps_are_marked_in_time() -> None:
    text = drawn(
        item_of(every(0.2, 10), (Segment(1, 2.0, 5.0, 0.9), Segment(2, 0.0, 9.0, 0.9)), (Gap(6.0, 7.0, "ended"),))
    )
    assert re.findall(r'class="forged" x="([^"]*)" y="0" width="([^"]*)"', text) == [("200.0", "300.0")]
    assert re.findall(r'class="gap" x="([^"]*)" y="0" width="([^"]*)"', text) == [("600.0", "100.0")]
    assert "looks forged from 0:02 to 0:05." in text


def test_long_videos_are_drawn_with_few_points_that_keep_the_extremes() -> None:
    points = every(0.2, 3600)
    points[9001] = (points[9001][0], 1.0)
    text = drawn(item_of(points, duration_s=3600.0))
    (dots,), (line,) = paths(text, "dots"), paths(text, "line")
    assert dots.count("M") <= 2 * MOST_POINTS + 2 and line.count(",") <= MOST_POINTS + 1
    assert ",0.0h" in dots
    assert len(text) < 25_000


def test_an_unknown_length_is_the_last_look() -> None:
    (dots,) = paths(drawn(item_of([(0.0, 0.5), (8.0, 0.5)], duration_s=None)), "dots")
    assert "M1000.0," in dots


@pytest.mark.parametrize("end_s", [0.4, 3.0, 59.0, 600.0, 4000.0, 90000.0])
def test_ticks_are_few_and_round(end_s: float) -> None:
    ticks = re.findall(r"<li[^>]*>([^<]*)</li>", drawn(item_of([(0.0, 0.4), (end_s, 0.4)], duration_s=end_s)))
    assert 1 <= len(ticks) <= 8 and ticks[0] == "0:00"
    assert len(set(ticks)) == len(ticks)
