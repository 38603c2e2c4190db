"""Live moments: what is known while a source plays, and what its report says."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import jsonschema
import numpy as np
import pytest
from numpy.typing import NDArray

from tinydf_runtime import Analyzer, Limits
from tinydf_runtime.errors import UnavailableError
from tinydf_runtime.faces.crop import CropConfig
from tinydf_runtime.io.video import VideoReader
from tinydf_runtime.live.stream import LiveStream
from tinydf_runtime.models.spec import ModelSpec
from tinydf_runtime.render.report import SCHEMA_FILE
from tinydf_runtime.results import InputReport
from tinydf_runtime.types import Face, Frame, Image, Scores

Serve = Callable[..., Any]
PATIENCE_S = 30.0
REAL, FORGED = 45, 235


@dataclass
class BrightnessEngine:
    """Its fake probability is a crop's mean brightness / 255; it can be told to take its time."""

    spec: ModelSpec = field(default_factory=lambda: ModelSpec("brightness", CropConfig(side_px=32, margin=0.0)))
    name: str = "drawn"
    device: str = "cpu"
    batches: list[int] = field(default_factory=list)
    takes_s: list[float] = field(default_factory=list)

    def score(self, crops: NDArray[np.uint8]) -> Scores:
        self.batches.append(len(crops))
        if self.takes_s:
            time.sleep(self.takes_s.pop(0))
        probability = crops.reshape(len(crops), -1).mean(axis=1) / 255
        return Scores(probability.astype(np.float32), np.zeros((len(crops), 14, 14), np.float32))


@dataclass
class TwoFaces:
    """Finds a face on the left and one on the right of every picture."""

    name: str = "two"
    sha256: str = "c" * 64

    def detect(self, image: Image) -> list[Face]:
        height, width = image.shape[:2]
        faces = []
        for left in (0.1, 0.6):
            box = (left * width, 0.2 * height, (left + 0.3) * width, 0.8 * height)
            faces.append(Face(box, ((box[0] + 9.0, box[1] + 9.0),) * 5, 0.95))
        return faces


def picture(number: int, size: tuple[int, int] = (160, 320)) -> Image:
    image = np.full((*size, 3), 90, np.uint8)
    image[:, : size[1] // 2] = REAL
    image[:, size[1] // 2 :] = FORGED
    return image


def larger(number: int) -> Image:
    return picture(number, (320, 640))


def open_analyzer(engine: BrightnessEngine | None = None, sample_fps: float | None = 10.0) -> Analyzer:
    return Analyzer(engine or BrightnessEngine(), detector=TwoFaces(), sample_fps=sample_fps)


def take(live: LiveStream, count: int) -> list[Any]:
    return [next(live) for _ in range(count)]


def checked(analyzer: Analyzer, item: InputReport) -> InputReport:
    values = json.loads(json.dumps(analyzer.report([item]).to_dict()))
    jsonschema.validate(values, json.loads(SCHEMA_FILE.read_text()))
    return item


@pytest.mark.parametrize("name", ["RtspServer", "MjpegServer"])
def test_a_stream_gives_moments_and_a_report(serve: Serve, name: str) -> None:
    engine = BrightnessEngine()
    analyzer = open_analyzer(engine)
    server = serve(name, picture)
    with analyzer.stream(server.url("bob:secret@"), Limits(PATIENCE_S)) as live:
        moments = take(live, 16)
        during = live.report()
    item = checked(analyzer, live.report())
    assert [sorted(face.track for face in moment.faces) for moment in moments] == [[1, 2]] * 16
    # All faces of a frame go through the network together.
    assert set(engine.batches) == {2}
    assert all(moment.latency_s is not None and moment.latency_s >= 0 for moment in moments)
    assert [face.verdict.label for face in moments[-1].faces] == ["real", "fake"]
    assert (item.kind, item.status, item.verdict) == ("stream", "ok", "fake")
    assert (item.width, item.height, item.gaps) == (320, 160, ())
    assert "secret" not in item.path and "bob" not in item.path
    assert {track.id: track.verdict for track in item.tracks} == {1: "real", 2: "fake"}
    assert item.tracks == during.tracks
    assert item.frames_scored == 16 and item.frames_decoded >= 16


def test_a_camera_that_comes_back_larger_has_new_tracks_and_a_gap(serve: Serve) -> None:
    analyzer = open_analyzer()
    server = serve("MjpegServer", picture)
    with analyzer.stream(server.url(), Limits(PATIENCE_S)) as live:
        take(live, 6)
        server.close()
        serve("MjpegServer", larger, port=server.port)
        moment = next(moment for moment in live if moment.frame.image.shape == (320, 640, 3))
        for _ in range(6):
            moment = next(live)
        item = checked(analyzer, live.report())
    assert sorted(face.track for face in moment.faces) == [3, 4]
    assert [track.id for track in item.tracks] == [1, 2, 3, 4]
    assert (item.width, item.height) == (640, 320)
    (gap,) = item.gaps
    assert gap.reason == "ended" and gap.end_s > gap.start_s
    times = [score.time_s for score in (*item.tracks[0].scores, *item.tracks[2].scores)]
    assert times == sorted(times)


def test_late_results_are_thrown_away_and_counted_but_are_evidence(serve: Serve) -> None:
    engine = BrightnessEngine(takes_s=[1.5])
    analyzer = open_analyzer(engine, sample_fps=None)
    server = serve("MjpegServer", picture)
    with analyzer.stream(server.url(), Limits(PATIENCE_S), max_latency_s=1.2) as live:
        moments = take(live, 3)
        item = live.report()
    assert all(moment.latency_s <= 1.2 for moment in moments)
    assert moments[0].frames_dropped > 10
    assert item.frames_dropped >= moments[-1].frames_dropped
    assert item.frames_scored > len(moments)


def test_a_stream_that_broke_off_for_good_is_truncated_and_keeps_its_verdict(serve: Serve) -> None:
    analyzer = open_analyzer()
    server = serve("RtspServer", picture, frames=60)
    with analyzer.stream(server.url(), Limits(PATIENCE_S), give_up_s=0.0) as live:
        count = len(list(live))
    item = checked(analyzer, live.report())
    assert count > 10
    assert (item.status, item.verdict) == ("truncated", "fake")
    assert len(item.gaps) == 1


def test_a_camera_that_is_unplugged_and_stays_away_keeps_its_verdict_and_says_so(
    write_video: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    clip, opened = write_video([picture(0)] * 40), []

    def camera(source: int | str) -> cv2.VideoCapture:
        opened.append(source)
        return cv2.VideoCapture(str(clip)) if len(opened) == 1 else cv2.VideoCapture()

    monkeypatch.setattr("tinydf_runtime.io.video.open_source", camera)
    # As slow as a camera, so that every frame finds its taker.
    monkeypatch.setattr(VideoReader, "__iter__", slowly(VideoReader.__iter__))
    analyzer = open_analyzer(sample_fps=None)
    with analyzer.stream(0, Limits(PATIENCE_S), give_up_s=1.0) as live:
        moments = list(live)
    item = checked(analyzer, live.report())
    assert len(moments) > 10 and len(opened) > 1 and set(opened) == {0}
    assert (item.path, item.kind, item.status, item.verdict) == ("0", "stream", "truncated", "fake")
    assert [gap.reason for gap in item.gaps] == ["ended"]


def slowly(frames: Callable[[VideoReader], Iterator[Frame]]) -> Callable[[VideoReader], Iterator[Frame]]:
    def wait(reader: VideoReader) -> Iterator[Frame]:
        for frame in frames(reader):
            time.sleep(0.04)
            yield frame

    return wait


def test_what_was_never_there_is_an_error_and_a_report(serve: Serve) -> None:
    analyzer = open_analyzer()
    server = serve("RtspServer", picture)
    server.close()
    live = analyzer.stream(server.url("bob:secret@"))
    assert live.report().verdict == "error"
    with pytest.raises(UnavailableError):
        next(live)
    item = checked(analyzer, live.report())
    assert (item.status, item.verdict, item.fake_probability) == ("unreadable", "error", None)
    assert item.message is not None and "cannot be opened" in item.message and "secret" not in item.message
    assert analyzer.analyze_input(server.url()).status == "unreadable"


def test_a_stream_without_faces_says_so(serve: Serve) -> None:
    class NoFaces(TwoFaces):
        def detect(self, image: Image) -> list[Face]:
            return []

    analyzer = Analyzer(BrightnessEngine(), detector=NoFaces())
    server = serve("MjpegServer", picture)
    with analyzer.stream(server.url(), Limits(PATIENCE_S)) as live:
        assert next(live).faces == ()
    assert (live.report().status, live.report().verdict) == ("no_face", "no_face")


@pytest.mark.parametrize("way", ["stop", "max_seconds"])
def test_analyze_ends_a_stream_by_its_limits_and_that_is_no_fault(serve: Serve, way: str) -> None:
    analyzer = open_analyzer()
    server = serve("MjpegServer", picture)
    stop = threading.Event()
    seen: list[float] = []

    def progress(done_s: float, total_s: float | None) -> None:
        seen.append(done_s)
        if way == "stop" and len(seen) == 12:
            stop.set()

    item = analyzer.analyze_input(server.url(), progress, Limits(None if way == "stop" else 2.5, stop))
    assert (checked(analyzer, item).status, item.verdict, item.reasons) == ("ok", "fake", ())
    assert seen == sorted(seen)


def test_a_file_on_a_web_server_is_judged_as_the_same_file_here(serve: Serve, write_video: Callable[..., Path]) -> None:
    path = write_video([picture(number) for number in range(75)])
    analyzer = open_analyzer(sample_fps=5.0)
    server = serve("FileServer", path.read_bytes(), "clip.mp4")
    far, here = analyzer.analyze_input(server.url()), analyzer.analyze_input(path)
    assert far.kind == "stream" and far.sha256 is None
    assert (far.status, far.verdict, far.duration_s) == (here.status, here.verdict, here.duration_s)
    assert [track.scores for track in far.tracks] == [track.scores for track in here.tracks]


def test_a_file_gives_every_sampled_frame_and_cannot_be_late(write_video: Callable[..., Path]) -> None:
    path = write_video([picture(number) for number in range(50)])
    with open_analyzer(sample_fps=5.0).stream(path, max_latency_s=1e-9) as live:
        moments = list(live)
    assert len(moments) == 10
    assert all(moment.latency_s is None and moment.frames_dropped == 0 for moment in moments)
    assert live.report().verdict == "fake"
