"""Report + input -> drawn video or picture."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from tinydf_runtime.analyzer import Analyzer
from tinydf_runtime.errors import OutputError, UsageError
from tinydf_runtime.io.video import VideoReader
from tinydf_runtime.render.annotate import annotate_image, annotate_video
from tinydf_runtime.render.draw import Zones
from tinydf_runtime.render.trail import Trail
from tinydf_runtime.results import InputReport, Label, TrackReport
from tinydf_runtime.types import FaceScore, Image

Fixture = Callable[..., Path]


def analyze(path: Path, classifier: Path, detector: Path) -> InputReport:
    return Analyzer(classifier, detector=detector, keep_maps=True, threads=1).analyze_input(path)


def frames_in(path: Path) -> list[Image]:
    with VideoReader(path) as reader:
        return [frame.image for frame in reader]


def moving_square(count: int, width: int = 320, height: int = 240) -> list[Image]:
    frames = []
    for i in range(count):
        image = np.full((height, width, 3), 90, np.uint8)
        image[80:160, 40 + 2 * i : 120 + 2 * i] = (0, 100, 255)
        frames.append(image)
    return frames


def trail_of(times: list[float], verdict: Label = "fake") -> Trail:
    scores = tuple(
        FaceScore(t, round(t * 25), (100 * t, 0.0, 100 * t + 50, 50.0), 0.9, t / 10, np.full((2, 2), 255, np.uint8))
        for t in times
    )
    return Trail.of_track(TrackReport(7, times[0], times[-1], verdict, 0.1, len(times), (), scores), Zones(0.5, 0.8))


def test_boxes_scores_and_maps_between_two_looks_lie_between_theirs() -> None:
    face = trail_of([7.0, 7.2]).at(7.05, 0.1)
    assert face is not None and face.forgery_map is not None
    assert face.box_xyxy == pytest.approx((705.0, 0.0, 755.0, 50.0))
    assert face.fake_probability == pytest.approx(0.705)
    assert (face.forgery_map == 1).all()


@pytest.mark.parametrize(
    ("time_s", "verdict", "mapped"), [(7.0, "fake", True), (1.0, "fake", False), (7.0, "real", False)]
)
def test_what_looks_real_gets_no_forgery_map(time_s: float, verdict: Label, mapped: bool) -> None:
    # A score is a tenth of the time.
    face = trail_of([time_s, time_s + 0.2], verdict).at(time_s, 0.1)
    assert face is not None and (face.forgery_map is not None) == mapped


@pytest.mark.parametrize("time_s", [0.8, 1.35, 3.0, 4.8, 5.15])
def test_a_face_is_not_drawn_long_before_between_and_after_its_looks(time_s: float) -> None:
    assert trail_of([1.0, 1.2, 5.0]).at(time_s, 0.1) is None


@pytest.mark.parametrize(("time_s", "looked_s"), [(0.95, 1.0), (1.25, 1.2), (4.95, 5.0), (5.05, 5.0)])
def test_a_face_stands_still_shortly_before_and_after_its_looks(time_s: float, looked_s: float) -> None:
    face = trail_of([1.0, 1.2, 5.0]).at(time_s, 0.1)
    assert face is not None
    assert face.box_xyxy[0] == pytest.approx(100 * looked_s)


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".avi", ".mov"])
def test_every_frame_is_written_and_drawn(
    write_video: Fixture, tiny_classifier: Path, tiny_detector: Path, tmp_path: Path, ending: str
) -> None:
    path = write_video(moving_square(40))
    item = analyze(path, tiny_classifier, tiny_detector)
    out = tmp_path / f"drawn{ending}"
    annotate_video(item, out)
    plain, drawn = frames_in(path), frames_in(out)
    assert len(drawn) == len(plain) == 40
    assert drawn[0].shape == plain[0].shape
    for i, (before, after) in enumerate(zip(plain, drawn, strict=True)):
        changed = np.abs(before.astype(int) - after).max(axis=2) > 40
        # The box moves 2 px a frame; its left edge is drawn there in frames that were not looked at too.
        # After the last look, at frame 35, it stands still.
        left = 40 + 2 * min(i, 35)
        assert changed[90:150, left - 2 : left + 3].any(axis=1).mean() > 0.9, i
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([path.name, out.name])


def test_odd_sides_lose_no_pixel(
    write_video: Fixture, tiny_classifier: Path, tiny_detector: Path, tmp_path: Path
) -> None:
    path = write_video(moving_square(10, 321, 241), name="odd.avi")
    item = analyze(path, tiny_classifier, tiny_detector)
    annotate_video(item, tmp_path / "drawn.mp4")
    assert item.width is not None and item.height is not None
    height, width = frames_in(tmp_path / "drawn.mp4")[0].shape[:2]
    assert height - item.height == item.height % 2
    assert width - item.width == item.width % 2


def test_pictures_of_another_size_midway_are_fitted_into_the_first_ones(
    tiny_classifier: Path, tiny_detector: Path, tmp_path: Path
) -> None:
    path = tmp_path / "turned.mjpeg"
    portrait = np.full((200, 120, 3), 200, np.uint8)
    pictures = [*moving_square(10), *[portrait] * 10]
    path.write_bytes(b"".join(cv2.imencode(".jpg", picture)[1].tobytes() for picture in pictures))
    annotate_video(analyze(path, tiny_classifier, tiny_detector), tmp_path / "drawn.mp4")
    drawn = frames_in(tmp_path / "drawn.mp4")
    assert [frame.shape for frame in drawn] == [(240, 320, 3)] * 20
    # 240 px high it is 144 px wide, in the middle.
    assert drawn[15][120, 92:228].min() > 150 and drawn[15][120, :84].max() < 50


def test_a_video_without_faces_is_drawn_too(
    write_video: Fixture, tiny_classifier: Path, tiny_detector: Path, tmp_path: Path
) -> None:
    path = write_video([np.full((240, 320, 3), 90, np.uint8)] * 5)
    annotate_video(analyze(path, tiny_classifier, tiny_detector), tmp_path / "drawn.mp4")
    assert len(frames_in(tmp_path / "drawn.mp4")) == 5


def test_a_picture_keeps_its_size(
    draw_squares: Callable[..., Image], tiny_classifier: Path, tiny_detector: Path, tmp_path: Path
) -> None:
    image = draw_squares((40, 40, 140, 140), (200, 60, 280, 140))
    cv2.imwrite(str(tmp_path / "faces.png"), image)
    item = analyze(tmp_path / "faces.png", tiny_classifier, tiny_detector)
    assert len(item.tracks) == 2
    annotate_image(item, tmp_path / "drawn.jpg")
    drawn = cv2.imread(str(tmp_path / "drawn.jpg"))
    assert drawn is not None and drawn.shape == image.shape
    assert np.abs(drawn.astype(int) - image).max() > 60


def test_stopping_leaves_no_file(
    write_video: Fixture, tiny_classifier: Path, tiny_detector: Path, tmp_path: Path
) -> None:
    item = analyze(write_video(moving_square(20)), tiny_classifier, tiny_detector)
    stop = threading.Event()
    annotate_video(item, tmp_path / "drawn.mp4", progress=lambda done_s, total_s: stop.set(), stop=stop)
    assert [file.name for file in tmp_path.iterdir()] == ["clip.mp4"]


def test_foreign_endings_and_missing_folders_are_refused(
    write_video: Fixture, tiny_classifier: Path, tiny_detector: Path, tmp_path: Path
) -> None:
    item = analyze(write_video(moving_square(5)), tiny_classifier, tiny_detector)
    with pytest.raises(UsageError):
        annotate_video(item, tmp_path / "drawn.txt")
    with pytest.raises(UsageError):
        annotate_image(item, tmp_path / "drawn.mp4")
    with pytest.raises(OutputError, match=r"drawn\.mp4"):
        annotate_video(item, tmp_path / "none" / "drawn.mp4")


def test_reports_without_maps_are_drawn_without_an_overlay(
    write_video: Fixture, tiny_classifier: Path, tiny_detector: Path, tmp_path: Path
) -> None:
    item = analyze(write_video(moving_square(10)), tiny_classifier, tiny_detector)
    # What looks real gets none.
    hot = tuple(
        replace(track, verdict="fake", scores=tuple(replace(score, fake_probability=0.9) for score in track.scores))
        for track in item.tracks
    )
    item = replace(item, tracks=hot)
    bare = tuple(
        replace(track, scores=tuple(replace(score, forgery_map=None) for score in track.scores))
        for track in item.tracks
    )
    annotate_video(replace(item, tracks=bare), tmp_path / "bare.mp4")
    annotate_video(item, tmp_path / "full.mp4")
    middle = (slice(110, 130), slice(75, 95))
    difference = np.abs(frames_in(tmp_path / "bare.mp4")[0].astype(int) - frames_in(tmp_path / "full.mp4")[0])
    assert difference[middle].mean() > 10
