"""What a person at a terminal sees of a report."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from tinydf_runtime.cli.terminal import BARS, MAXIMUM_GAPS, PLAIN_BARS, show_counts, show_input, timeline
from tinydf_runtime.render.draw import Zones
from tinydf_runtime.results import Gap, InputReport, Rarity, Segment, Timing, TrackReport
from tinydf_runtime.types import FaceScore


def track(number: int, probabilities: list[float], verdict: str = "fake", step_s: float = 0.2) -> TrackReport:
    scores = tuple(
        FaceScore(round(i * step_s, 3), i * 5, (0.0, 0.0, 99.0, 99.0), 0.9, p) for i, p in enumerate(probabilities)
    )
    mean = sum(probabilities) / len(probabilities)
    return TrackReport(number, 0.0, scores[-1].time_s, verdict, mean, len(scores), (), scores)  # type: ignore[arg-type]


VIDEO = InputReport(
    path="clips/interview.mp4",
    sha256="a" * 64,
    kind="video",
    status="ok",
    width=640,
    height=360,
    fps=25.0,
    duration_s=12.0,
    rotation_deg=0,
    frames_decoded=300,
    frames_expected=300,
    frames_scored=60,
    verdict="fake",
    fake_probability=0.9871,
    reasons=("forged_segment",),
    message=None,
    tracks=(track(1, [0.2] * 60, "real"), track(2, [0.3] * 30 + [0.95] * 30)),
    fake_threshold=0.912,
    segments=(Segment(2, 6.0, 11.8, 0.95),),
    timing=Timing(),
)
CROWD = replace(VIDEO, tracks=tuple(track(i, [0.1] * 10, "real") for i in range(1, 31)))
LONG = replace(VIDEO, duration_s=7265.0, tracks=(track(101, [0.4] * 100, "inconclusive", 72.5),), segments=())
PICTURE = replace(
    VIDEO, path="group.jpg", kind="image", reasons=(), tracks=(track(1, [0.1], "real"), track(2, [0.9])), segments=()
)
NO_FACE = replace(VIDEO, verdict="no_face", fake_probability=None, reasons=("no_face_found",), tracks=(), segments=())


ZONES = Zones(0.5, 0.8)


class AsciiText(io.StringIO):
    encoding = "ascii"


def shown(item: InputReport, width: int = 80, terminal: bool = False, file: io.StringIO | None = None) -> str:
    out = file or io.StringIO()
    show_input(item, 0.5, Console(file=out, width=width, force_terminal=terminal, color_system=None))
    return out.getvalue()


@pytest.mark.parametrize("width", [60, 72, 80, 120, 200])
@pytest.mark.parametrize("item", [VIDEO, CROWD, LONG, PICTURE, NO_FACE])
def test_nothing_is_cut_off_or_wider_than_the_terminal(item: InputReport, width: int) -> None:
    text = shown(item, width, terminal=True)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert item.path in text


def test_the_verdict_comes_first_and_the_worst_person_leads() -> None:
    lines = shown(VIDEO).splitlines()
    assert lines[0] == f"{'FAKE':<12}   98.7%  clips/interview.mp4  (one segment looks forged, the rest less so)"
    assert lines[1] == "  threshold of 2 people: fake from 91.2%, real below 50.0%"
    assert [line.split()[0] for line in lines[3:5]] == ["2", "1"]
    assert "person 2 looks forged from 0:06 to 0:11.8 (95.0%)" in lines[5]


def test_where_programs_read_a_verdict_and_its_reasons_share_a_line() -> None:
    item = replace(VIDEO, path="x" * 200, status="truncated", frames_decoded=120)
    first = shown(item, width=60).splitlines()[0]
    assert "x" * 200 in first and first.endswith("cut off: 120 of 300 frames could be read)")
    one = replace(item, frames_decoded=1, frames_expected=None)
    assert shown(one, width=60).splitlines()[0].endswith("cut off: 1 frame could be read)")


def test_a_wider_terminal_gets_a_longer_timeline() -> None:
    assert max(map(len, shown(VIDEO, 120).splitlines())) > max(map(len, shown(VIDEO, 60).splitlines()))


def test_eighty_columns_show_the_interval() -> None:
    item = replace(VIDEO, tracks=(replace(VIDEO.tracks[1], interval=(0.5, 0.75)),))
    assert "50.0%-75.0%" in shown(item, 80) and "50.0%-75.0%" not in shown(item, 60)
    assert "interval" not in shown(VIDEO, 120)


@pytest.mark.parametrize(
    ("rarity", "words"),
    [
        (Rarity(1 / 70, 1 / 150, 1 / 40, 420), "about 1 in 70 real people scores this high (1 in 40 to 1 in 150)"),
        (Rarity(0.0, 0.0, 0.0094, 420), "none of 420 real people scored this high (fewer than 1 in 110)"),
        (Rarity(0.8, 0.756, 0.844, 420), "most real people score this high (76% to 84%)"),
        (Rarity(0.2, 0.16, 0.24, 420), "about 1 in 5 real people scores this high (1 in 4.2 to 1 in 6.2)"),
    ],
)
def test_it_is_said_how_rare_a_score_is_among_real_people(rarity: Rarity, words: str) -> None:
    assert words in shown(replace(VIDEO, rarity=rarity), 120)
    assert "real people" not in shown(VIDEO, 120)


def test_a_terminal_without_the_blocks_gets_ascii() -> None:
    assert not shown(VIDEO).isascii()
    assert shown(VIDEO, file=AsciiText()).isascii()


def test_a_picture_takes_a_line_and_its_faces_another() -> None:
    assert len(shown(PICTURE).splitlines()) == 3
    assert "face 2: 90.0%, face 1: 10.0%" in shown(PICTURE)
    assert len(shown(replace(PICTURE, verdict="real", tracks=PICTURE.tracks[:1])).splitlines()) == 1


def test_a_crowd_is_cut_short_and_counted() -> None:
    assert "and 10 more" in shown(CROWD)


def test_people_who_were_not_judged_are_counted_with_the_reason() -> None:
    unjudged = replace(track(3, [0.5] * 2, "inconclusive"), fake_probability=None, reasons=("too_few_faces",))
    text = shown(replace(VIDEO, tracks=(*VIDEO.tracks, unjudged)))
    assert "1 more face was not judged: the face was seen in too few frames to judge" in text


def test_no_colour_is_used_where_none_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    out = io.StringIO()
    show_input(VIDEO, 0.5, Console(file=out, width=80, force_terminal=True, color_system="truecolor"))
    # Bold and dim stay: the standard is about colour.
    assert "\x1b[31m" not in out.getvalue() and "\x1b[36m" not in out.getvalue()


def test_the_height_of_the_timeline_is_the_probability() -> None:
    person = track(1, [0.0, 0.5, 1.0, 0.2], step_s=1.0)
    text = timeline(person, 4.0, ZONES, 4)
    assert text.plain == BARS[0] + BARS[4] + BARS[7] + BARS[1]
    assert [str(span.style) for span in text.spans] == ["cyan", "yellow", "red", "cyan"]
    assert timeline(person, 4.0, ZONES, 4, plain=True).plain == "".join(PLAIN_BARS[i] for i in (0, 4, 7, 1))


def test_the_timeline_is_empty_where_the_person_was_not_seen() -> None:
    assert timeline(track(1, [0.9] * 10), 4.0, ZONES, 8).plain == BARS[7] * 4 + " " * 4


def test_verdicts_are_counted() -> None:
    out = io.StringIO()
    show_counts([VIDEO, VIDEO, NO_FACE], Console(file=out, color_system=None))
    assert out.getvalue() == "3 inputs: 2 fake, 1 no face\n"


def test_the_times_without_a_picture_are_told() -> None:
    gaps = tuple(Gap(10.0 * number, 10.0 * number + 4.5, "ended") for number in range(MAXIMUM_GAPS + 2))
    stream = replace(VIDEO, kind="stream", status="truncated", gaps=gaps)
    text = shown(stream)
    assert "no picture from 0:10 to 0:14.5: the stream ended" in text
    assert text.count("no picture from") == MAXIMUM_GAPS
    assert "no picture 2 times more" in text
    assert "it broke off and did not come back" in text
