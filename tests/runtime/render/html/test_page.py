"""Report -> one self-contained HTML page."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from tinydf_runtime.engines.loading import open_engine
from tinydf_runtime.faces.exemplars import Exemplars, shrink_frame
from tinydf_runtime.models.shipped import DEFAULT_MODEL
from tinydf_runtime.render.html.input import ADJUSTMENT_WORDS
from tinydf_runtime.render.html.page import render_page, write_html
from tinydf_runtime.render.words import REASON_WORDS
from tinydf_runtime.results import (
    DetectorInfo,
    Gap,
    InputReport,
    ModelInfo,
    Rarity,
    Report,
    Segment,
    Timing,
    ToolInfo,
    TrackReport,
)
from tinydf_runtime.types import Adjustment, FaceQuality, FaceScore

VOID = {"meta", "img", "br", "hr", "path", "circle", "rect", "stop", "link", "input"}
CREATED = datetime(2026, 3, 4, 12, 30, tzinfo=timezone(timedelta(hours=2)))
MODEL = ModelInfo("tiny-green", "b" * 64, "fp32", "onnxruntime", "cpu", 0.5, 1.25, "e" * 64)


class Page(HTMLParser):
    """Checks that what is opened is closed in turn, and collects what is used."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.values: list[tuple[str, str, str]] = []
        self.words = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.values += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.values += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.words += data

    def all(self, name: str) -> list[str]:
        return [value for _, found, value in self.values if found == name]


def scores(count: int, step_s: float = 0.2, shift: float = 0.0) -> tuple[FaceScore, ...]:
    values = 0.5 + 0.4 * np.sin(np.arange(count) / 7 + shift)
    return tuple(
        FaceScore(
            round(i * step_s, 3), i * 5, (10.0, 10.0, 130.0, 140.0), 0.9, round(float(p), 6), None, FaceQuality(0.3)
        )
        for i, p in enumerate(values)
    )


def clip(tracks: int = 1, count: int = 60, step_s: float = 0.2) -> InputReport:
    exemplars = Exemplars()
    noise = np.random.default_rng(0).integers(0, 255, (224, 224, 3), np.uint8)
    frame = shrink_frame(np.full((720, 1280, 3), 90, np.uint8))
    found = []
    for track in range(1, tracks + 1):
        seen = scores(count, step_s, track)
        for score in seen:
            exemplars.offer(track, score, noise, np.full((14, 14), score.fake_probability, np.float32), frame)
        found.append(
            TrackReport(track, 0.0, seen[-1].time_s, "fake", 0.8125, count, ("forged_segment",), seen, (0.7011, 0.9022))
        )
    return InputReport(
        path="clips/interview.mp4",
        sha256="a" * 64,
        kind="video",
        status="ok",
        width=1280,
        height=720,
        fps=25.0,
        duration_s=count * step_s,
        rotation_deg=90,
        frames_decoded=1234,
        frames_expected=1250,
        frames_scored=count,
        verdict="fake",
        fake_probability=0.8125,
        reasons=("forged_segment",),
        message=None,
        tracks=tuple(found),
        segments=(Segment(1, 2.0, 6.4, 0.9312),),
        timing=Timing(1.0, 0.2, 0.3, 0.5),
        pictures=exemplars.finest(),
        interval=(0.7011, 0.9022),
        rarity=Rarity(0.01, 0.004, 0.025, 400),
        deciding_track=1,
        fake_threshold=0.7654,
        whole_frame=exemplars.whole_frame(1),
    )


def empty(**changes: object) -> InputReport:
    nothing = dict.fromkeys(
        ("fake_probability", "interval", "rarity", "deciding_track", "fake_threshold", "whole_frame")
    )
    values: dict[str, object] = {"tracks": (), "segments": (), "pictures": (), **nothing}
    return replace(clip(count=2), **(values | changes))  # type: ignore[arg-type]


def page_of(*items: InputReport, model: ModelInfo = MODEL, command: str | None = "tinydf-run a.mp4") -> str:
    report = Report(ToolInfo("tinydf", "1.2.3"), model, DetectorInfo("squares", "d" * 64), items)
    return render_page(report, command, CREATED)


UNREADABLE = empty(
    path="bad.mp4",
    sha256=None,
    status="unreadable",
    verdict="error",
    reasons=("unreadable",),
    message="bad.mp4: the file is empty. Copy it again.",
    width=None,
    height=None,
    fps=None,
    duration_s=None,
    rotation_deg=None,
    frames_decoded=0,
    frames_expected=None,
)
NO_FACE = empty(status="no_face", verdict="no_face", reasons=("no_face_found",))
THIN = empty(
    verdict="inconclusive",
    reasons=("too_few_faces",),
    tracks=(TrackReport(1, 0.0, 0.2, "inconclusive", None, 2, ("too_few_faces",), scores(2)),),
)
STREAM = replace(
    clip(),
    path="rtsp://camera/live",
    kind="stream",
    sha256=None,
    duration_s=None,
    frames_expected=None,
    gaps=(Gap(3.0, 4.5, "stalled"),),
    frames_dropped=77,
    tracks_forgotten=9,
)
PICTURE = replace(
    clip(),
    path="photo.png",
    kind="image",
    duration_s=None,
    fps=None,
    tracks=(TrackReport(1, 0.0, 0.0, "real", 0.21, 1, (), scores(1)),),
    segments=(),
    verdict="real",
    fake_probability=0.21,
    reasons=(),
)
EVERY_KIND = [clip(), clip(3), UNREADABLE, NO_FACE, THIN, STREAM, PICTURE]


@pytest.mark.parametrize("item", EVERY_KIND, ids=lambda item: f"{item.kind}-{item.verdict}-{len(item.tracks)}")
def test_every_kind_of_input_gives_a_well_formed_page(item: InputReport) -> None:
    page = Page(page_of(item))
    assert page.tags.count("h1") == 1
    assert len(page.all("id")) == len(set(page.all("id")))
    targets = {value[1:] for value in page.all("href") if value.startswith("#")}
    assert targets <= set(page.all("id"))
    assert all(name in page.all("id") for name in page.all("aria-labelledby"))


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    text = page_of(*EVERY_KIND)
    page = Page(text)
    assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & set(page.tags)
    assert all(value.startswith("data:image/jpeg;base64,") for value in page.all("src"))
    assert all(value.startswith("#") for value in page.all("href"))
    style = text[text.index("<style>") : text.index("</style>")]
    assert "@import" not in style and "url(" not in style
    assert not [name for _, name, _ in page.values if name.startswith("on")]
    assert all(value.startswith("url(#") for value in page.all("stroke") if "url" in value)


def test_names_messages_and_commands_are_escaped() -> None:
    evil = '<script>alert("1")</script>&amp;'
    item = replace(clip(), path=f"{evil}.mp4")
    page = Page(
        page_of(
            item,
            replace(UNREADABLE, path=f"bad{evil}", message=f"{evil}: bad."),
            model=replace(MODEL, name=evil, engine=evil, device=evil),
            command=f"tinydf-run {evil}",
        )
    )
    assert "script" not in page.tags
    assert page.words.count(evil) >= 6


def test_a_path_that_is_no_unicode_is_written(tmp_path: Path) -> None:
    report = Report(
        ToolInfo("tinydf", "1"), MODEL, DetectorInfo("squares", None), (replace(clip(), path="a\udcff.mp4"),)
    )
    write_html(report, tmp_path / "r.html")
    Page((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert [file.name for file in tmp_path.iterdir()] == ["r.html"]


def test_the_page_holds_the_figures_of_the_json() -> None:
    item = replace(clip(2), frames_dropped=41)
    words = Page(page_of(item)).words
    for figure in (
        *("a" * 64, "b" * 64, "d" * 64, "e" * 64, "clips/interview.mp4", "1280 x 720", "turned by 90°"),
        *("1,234 of 1,250 read, 60 analysed", "25.00 a second", "12.00 s", "81.2%", "93.1%", "0:02 to 0:06.4"),
        *("tiny-green", "fp32", "onnxruntime on cpu", "0.5", "1.25", "squares", "TinyDF 1.2.3", "2026-03-04 10:30 UTC"),
        *(
            "judged from 60 frames",
            REASON_WORDS["forged_segment"],
            "tinydf-run a.mp4",
            "41 frames",
            "The face is blurred",
        ),
        *("90% interval 70.1% to 90.2%", "threshold 76.5%", "threshold 77%"),
        "About 1 in 100 real people scores this high (1 in 40 to 1 in 250).",
    ):
        assert figure in words, figure


def test_everything_that_is_done_to_pictures_has_words() -> None:
    done = get_args(Adjustment)
    words = Page(page_of(replace(clip(), adjustments=done))).words
    assert "HDR" in words and "deinterlaced" in words and set(done) == set(ADJUSTMENT_WORDS)


def test_a_probability_is_shown_only_where_there_is_one() -> None:
    for item in (UNREADABLE, NO_FACE, THIN):
        words = Page(page_of(item)).words
        assert "fake probability, of the most suspicious person" not in words
        assert "50%" not in words and "50.0%" not in words
    assert "bad.mp4: the file is empty. Copy it again." in Page(page_of(UNREADABLE)).words
    assert REASON_WORDS["too_few_faces"] in Page(page_of(THIN)).words


def test_each_verdict_says_what_it_does_not_mean() -> None:
    verdicts = {item.verdict: Page(page_of(item)).words for item in EVERY_KIND}
    assert len(verdicts) == 5
    for words in verdicts.values():
        assert "What this means" in words and "What it does not mean" in words
        assert "statistical evidence, not proof" in words


def test_faces_are_shown_beside_their_maps_with_words() -> None:
    page = Page(page_of(clip()))
    whole, *alts = page.all("alt")
    assert whole.startswith("The whole picture")
    assert len(alts) + 1 == page.tags.count("img") >= 5
    assert all(alts)
    assert alts[0].startswith("Person 1 at 0:") and alts[1].startswith("The same face under its forgery map")
    images = page.all("src")
    assert images[1] != images[2]


def test_a_map_is_shown_only_where_it_says_something_and_nobody_was_judged_real() -> None:
    cold = replace(clip(), pictures=tuple(replace(p, forgery_map=p.forgery_map // 8) for p in clip().pictures))
    real = replace(clip(), tracks=tuple(replace(track, verdict="real") for track in clip().tracks))
    for item in (cold, real):
        page = Page(page_of(item))
        alts = page.all("alt")
        assert len(alts) >= 3 and not [words for words in alts if "forgery map" in words]
        # A face alone takes one cell: none stays empty beside it.
        assert "face" in page.all("class") and "face mapped" not in page.all("class")


def test_the_whole_picture_has_a_box_where_the_face_is() -> None:
    text = page_of(clip())
    (box,) = re.findall(r'<span class="box fake" style="([^"]*)">', text)
    # 10 to 130 of 1280 and 10 to 140 of 720 pixels.
    assert box == "left:0.78%;top:1.39%;width:9.38%;height:18.06%"
    assert 'class="box' not in page_of(replace(clip(), whole_frame=None))


def test_what_the_network_was_not_tested_on_stands_in_the_box_of_the_verdict() -> None:
    text = page_of(clip())
    box = text[text.index('<div class="verdict fake">') : text.index('<div class="two reading">')]
    assert "it has no model card" in box
    shipped = replace(MODEL, checkpoint_sha256=open_engine(DEFAULT_MODEL).spec.checkpoint_sha256)
    text = page_of(clip(), model=shipped)
    box = text[text.index('<div class="verdict fake">') : text.index('<div class="two reading">')]
    assert "real deepfakes" in box


def test_the_headline_counts_who_scores_above_the_threshold() -> None:
    assert (
        "2 of 3 people score above the threshold."
        in Page(
            page_of(replace(clip(3), tracks=(*clip(3).tracks[:2], replace(clip(3).tracks[2], verdict="real"))))
        ).words
    )
    assert "The person scores above the threshold." in Page(page_of(clip())).words
    inconclusive = Page(page_of(replace(clip(), verdict="inconclusive", reasons=("near_threshold",)))).words
    assert "above the threshold." not in inconclusive


def test_a_streams_gaps_and_a_pictures_lack_of_time_are_said() -> None:
    words = Page(page_of(STREAM)).words
    assert "from 0:03 to 0:04.5 (the stream stalled)" in words and "77 frames" in words
    assert "9 people of the endless stream" in words
    picture = page_of(PICTURE)
    assert 'class="plot"' not in picture and "Seen from" not in picture


def test_several_inputs_have_a_table_that_leads_to_them() -> None:
    page = Page(page_of(clip(), NO_FACE))
    assert {"#input-1", "#input-2"} <= set(page.all("href"))
    assert "2 inputs" in page.words
    assert "1 inputs" not in Page(page_of(clip())).words


def test_ten_minutes_with_three_people_stay_below_one_and_a_half_megabytes() -> None:
    assert len(page_of(clip(3, count=3000))) < 1_500_000


def test_an_hour_takes_little_more_than_a_minute() -> None:
    minute, hour = page_of(clip(count=300)), page_of(clip(count=18000))
    pictures = re.compile(r'src="[^"]*"')
    assert len(pictures.sub("", hour)) < len(pictures.sub("", minute)) + 30_000


def test_a_crowd_does_not_grow_the_page_without_end() -> None:
    page = page_of(clip(200, count=6))
    assert len(page) < 1_500_000
    assert "188 more people are in the JSON report alone" in Page(page).words


def test_a_folder_of_pictures_gets_a_table_of_all_and_the_worst_of_them() -> None:
    bland = [replace(PICTURE, path=f"p{i}.png", pictures=(), fake_probability=0.1) for i in range(150)]
    page = Page(page_of(*bland, replace(PICTURE, path="worst.png", verdict="fake", fake_probability=0.9)))
    assert "151 inputs" in page.words and "p149.png" in page.words
    assert page.tags.count("section") == 103 and "51 do not" in page.words
    assert "input-151" in page.all("id")


def test_another_model_gets_no_figures_of_the_shipped_one() -> None:
    assert "No card is at hand for this classifier (tiny-green)" in Page(page_of(clip())).words


def test_it_is_said_how_the_threshold_was_chosen() -> None:
    assert "at most 2.0% of real faces" in Page(page_of(clip(), model=replace(MODEL, fpr=0.02))).words
