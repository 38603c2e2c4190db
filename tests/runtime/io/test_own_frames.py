"""Frames of another decoder are judged as the file that they come from."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from tinydf_runtime import Analyzer, Detector, Face, Frame, Image, InputReport, Limits, UsageError, VideoReader
from tinydf_runtime.io.own_frames import OwnFrames

FPS = 25.0


@pytest.fixture
def analyzer(tiny_classifier: Path, tiny_detector: Path) -> Iterator[Analyzer]:
    with Analyzer(tiny_classifier, detector=tiny_detector, threads=1) as opened:
        yield opened


@pytest.fixture
def clip(write_video: Callable[..., Path], draw_squares: Callable[..., Image]) -> Path:
    return write_video([draw_squares((60 + i, 60, 160 + i, 160)) for i in range(50)])


@pytest.fixture
def pictures(clip: Path) -> list[Image]:
    """What OpenCV decodes from the clip."""
    capture, images = cv2.VideoCapture(str(clip)), []
    while (read := capture.read())[0]:
        images.append(np.asarray(read[1], np.uint8))
    capture.release()
    return images


def found_in(item: InputReport) -> tuple[object, ...]:
    """Everything that does not depend on where the pictures came from."""
    return item.verdict, item.fake_probability, item.tracks, item.segments, item.frames_scored, item.frames_decoded


def test_frames_give_what_their_file_gives(analyzer: Analyzer, clip: Path, pictures: list[Image]) -> None:
    item = analyzer.analyze_frames(pictures, fps=FPS, name="decoded by OpenCV")
    assert found_in(item) == found_in(analyzer.analyze_input(clip))
    assert (item.path, item.kind, item.status, item.sha256) == ("decoded by OpenCV", "video", "ok", None)
    assert (item.width, item.height, item.fps, item.frames_scored) == (320, 240, FPS, 10)
    assert analyzer.report([item]).to_dict()["inputs"][0]["path"] == "decoded by OpenCV"


def test_frames_that_bring_their_times_need_no_rate(analyzer: Analyzer, clip: Path) -> None:
    with VideoReader(clip) as reader:
        assert found_in(analyzer.analyze_frames(reader)) == found_in(analyzer.analyze_input(clip))


def test_one_array_of_all_frames_will_do(analyzer: Analyzer, pictures: list[Image]) -> None:
    stacked = analyzer.analyze_frames(np.stack(pictures), fps=FPS)
    assert found_in(stacked) == found_in(analyzer.analyze_frames(pictures, fps=FPS))


def test_a_decoder_may_reuse_its_memory(analyzer: Analyzer, pictures: list[Image]) -> None:
    def decode_into_one_buffer() -> Iterator[Image]:
        buffer = np.empty_like(pictures[0])
        for picture in pictures:
            buffer[...] = picture
            yield buffer
            buffer[...] = 0

    item = analyzer.analyze_frames(decode_into_one_buffer(), fps=FPS)
    assert found_in(item) == found_in(analyzer.analyze_frames(pictures, fps=FPS))


def test_few_frames_are_held_however_many_come(analyzer: Analyzer, pictures: list[Image]) -> None:
    alive: weakref.WeakSet[_Picture] = weakref.WeakSet()
    most = 0

    def decode() -> Iterator[Image]:
        nonlocal most
        for index in range(400):
            picture = pictures[index % len(pictures)].view(_Picture)
            alive.add(picture)
            most = max(most, len(alive))
            yield picture

    analyzer.analyze_frames(decode(), fps=FPS)
    gc.collect()
    assert most < 40
    assert len(alive) == 0


class _Picture(np.ndarray):
    """An array that counts itself."""

    def __hash__(self) -> int:  # type: ignore[override]
        return id(self)


def test_every_frame_is_scored_when_asked_for(
    tiny_classifier: Path, tiny_detector: Path, pictures: list[Image]
) -> None:
    with Analyzer(tiny_classifier, detector=tiny_detector, sample_fps=None) as analyzer:
        assert analyzer.analyze_frames(pictures, fps=FPS).frames_scored == len(pictures)


def test_no_frame_at_all_is_an_error_without_a_number(analyzer: Analyzer) -> None:
    item = analyzer.analyze_frames([], fps=FPS)
    assert (item.status, item.verdict, item.fake_probability) == ("unreadable", "error", None)
    assert item.message is not None and "decoder" in item.message


def test_an_error_of_the_decoder_is_raised_as_it_is(analyzer: Analyzer, pictures: list[Image]) -> None:
    error = OSError("the camera was unplugged")

    def decode() -> Iterator[Image]:
        yield from pictures[:20]
        raise error

    with pytest.raises(OSError, match="unplugged") as caught:
        analyzer.analyze_frames(decode(), fps=FPS)
    assert caught.value is error


def test_an_event_ends_endless_frames(analyzer: Analyzer, pictures: list[Image]) -> None:
    stop = threading.Event()

    def decode_for_ever() -> Iterator[Image]:
        while True:
            yield from pictures

    def stop_after_two_seconds(done_s: float, total_s: float | None) -> None:
        assert total_s is None
        if done_s >= 2:
            stop.set()

    item = analyzer.analyze_frames(decode_for_ever(), FPS, stop_after_two_seconds, Limits(stop=stop))
    assert "interrupted" in item.reasons
    assert item.tracks[0].faces_used >= 10


def test_an_error_in_a_callback_reaches_the_caller(analyzer: Analyzer, pictures: list[Image]) -> None:
    def fail(done_s: float, total_s: float | None) -> None:
        raise KeyError("progress")

    with pytest.raises(KeyError, match="progress"):
        analyzer.analyze_frames(pictures, FPS, fail)
    assert analyzer.analyze_frames(pictures, FPS).status == "ok"


@pytest.mark.parametrize(
    ("frames", "fps", "said"),
    [
        ("clip.mp4", FPS, "path to analyze"),
        (7, FPS, "iterate"),
        ([None], FPS, "NoneType"),
        (np.zeros((10, 10, 3), np.uint8), FPS, "H x W x 3"),
        ([np.zeros((10, 10, 3), np.float32)], FPS, "float32"),
        ([np.zeros((10, 10), np.uint8)], FPS, "H x W x 3"),
        ([np.zeros((0, 10, 3), np.uint8)], FPS, "H x W x 3"),
        ([np.zeros((10, 10, 3), np.uint8)], None, "fps"),
        ([np.zeros((10, 10, 3), np.uint8)], 0.0, "fps"),
        ([np.zeros((10, 10, 3), np.uint8)], float("nan"), "fps"),
        ([Frame(i, 1.0, np.zeros((10, 10, 3), np.uint8)) for i in range(2)], None, "rise"),
        ([Frame(0, float("nan"), np.zeros((10, 10, 3), np.uint8))], None, "rise"),
    ],
)
def test_misuse_is_told(analyzer: Analyzer, frames: object, fps: float | None, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        analyzer.analyze_frames(frames, fps)  # type: ignore[arg-type]


def test_frames_are_sampled_by_their_times() -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    times = [0.0, 0.05, 0.199, 0.2, 0.35, 0.9, 0.95, 1.0]
    reader = OwnFrames([Frame(i, time_s, image) for i, time_s in enumerate(times)], None, sample_fps=5)
    assert [frame.time_s for frame in reader] == [0.0, 0.199, 0.9, 1.0]
    assert reader.frames_decoded == len(times)


@dataclass(frozen=True)
class CentreDetector:
    """A user's detector: it knows no landmarks but the middle of the face."""

    name: str = "centre"
    sha256: str = ""

    def detect(self, image: Image) -> list[Face]:
        return [Face((60.0, 60.0, 160.0, 160.0), ((110.0, 110.0),) * 5, 1.0)]


def test_boxes_of_ones_own_detector_are_judged(tiny_classifier: Path, pictures: list[Image]) -> None:
    detector: Detector = CentreDetector()
    with Analyzer(tiny_classifier, detector=detector) as analyzer:
        report = analyzer.report([analyzer.analyze_frames(pictures, fps=FPS)])
        assert analyzer.detect_faces(pictures[0]) == detector.detect(pictures[0])
    (track,) = report.inputs[0].tracks
    assert {score.box_xyxy for score in track.scores} == {(60.0, 60.0, 160.0, 160.0)}
    assert report.detector.name == "centre"


@pytest.mark.parametrize("arguments", [{"model": 5}, {"detector": 5}, {"detector": object()}])
def test_what_is_no_network_is_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=next(iter(arguments))):
        Analyzer(**arguments)  # type: ignore[arg-type]


def test_reports_cannot_be_changed(analyzer: Analyzer, pictures: list[Image]) -> None:
    item = analyzer.analyze_frames(pictures, fps=FPS)
    with pytest.raises(AttributeError):
        item.verdict = "real"  # type: ignore[misc]
    assert replace(item, path="renamed").tracks is item.tracks


@pytest.mark.parametrize("source", [None, 1.5, b"clip.mp4", np.zeros((10, 10, 3), np.uint8), ["clip.mp4"]])
def test_what_is_no_input_is_refused(analyzer: Analyzer, source: object) -> None:
    with pytest.raises(UsageError, match="analyze_frames"):
        analyzer.analyze(source)  # type: ignore[arg-type]
