"""Live sources on loopback: the newest frame, new connections, gaps, limits. The servers are real, only small."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinydf_runtime.errors import UnavailableError
from tinydf_runtime.io.video import VideoInfo
from tinydf_runtime.live import reader as stream_reader
from tinydf_runtime.live.reader import StreamReader
from tinydf_runtime.results import Gap
from tinydf_runtime.types import Frame, Image
from tinydf_runtime.watch import Limits

Serve = Callable[..., Any]

PATIENCE_S = 30.0
"""Far more than any of it takes on a slow machine."""
LEVELS = 16


def numbered(frame: int) -> Image:
    """A picture that tells its number, up to LEVELS, through lossy compression."""
    return np.full((48, 64, 3), 8 + 15 * (frame % LEVELS), np.uint8)


def number_of(image: Image) -> int:
    return round((float(image.mean()) - 8) / 15)


def large(frame: int) -> Image:
    return np.full((96, 128, 3), 200, np.uint8)


def within(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("name", ["RtspServer", "MjpegServer"])
def test_a_slow_user_gets_the_newest_frame(serve: Serve, name: str) -> None:
    server = serve(name, numbered)
    with StreamReader(server.url(), None, Limits(PATIENCE_S)) as reader:
        frames = iter(reader)
        first = next(frames)
        assert within(lambda: reader.frames_decoded > first.index + 12)
        decoded = reader.frames_decoded
        newest = next(frames)
    assert newest.index >= decoded - 2
    assert number_of(newest.image) == newest.index % LEVELS
    assert newest.time_s > first.time_s
    assert reader.frames_dropped > 5
    assert (reader.info.width, reader.info.height) == (64, 48)
    assert reader.live and reader.gaps == () and not reader.truncated


@pytest.mark.parametrize("name", ["RtspServer", "MjpegServer"])
def test_a_stream_that_comes_back_is_read_on_and_the_gap_is_known(serve: Serve, name: str) -> None:
    server = serve(name, numbered)
    with StreamReader(server.url(), 10.0, Limits(PATIENCE_S)) as reader:
        frames = iter(reader)
        before = [next(frames) for _ in range(3)]
        server.close()
        assert within(lambda: bool(reader.gaps))
        again = serve(name, large, port=server.port)
        after = next(frame for frame in frames if frame.image.shape == (96, 128, 3))
        (gap,) = reader.gaps
        assert (reader.info.width, reader.info.height) == (128, 96)
    assert again.connections >= 1
    assert gap.reason == "ended"
    assert before[-1].time_s - 0.5 <= gap.start_s < gap.end_s <= after.time_s + 0.001
    assert after.index > before[-1].index
    assert not reader.truncated


def test_a_stream_that_stays_away_is_given_up(serve: Serve) -> None:
    server = serve("RtspServer", numbered, frames=40)
    with StreamReader(server.url(), None, Limits(PATIENCE_S), give_up_s=0.3) as reader:
        frames = iter(reader)
        next(frames)
        server.close()
        rest = list(frames)
        (gap,) = reader.gaps
    assert reader.truncated
    assert gap.end_s - gap.start_s >= 0.25
    assert all(late.time_s > early.time_s for early, late in pairwise(rest))


def test_a_stalled_stream_is_told_from_one_that_broke_off(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinydf_runtime.io.capture.STREAM_SETTINGS", short_limits())
    monkeypatch.setattr(stream_reader, "STALLED_S", 0.3)
    server = serve("RtspServer", numbered)
    with StreamReader(server.url(), None, Limits(PATIENCE_S), give_up_s=0.1) as reader:
        frames = iter(reader)
        next(frames)
        server.stall()
        list(frames)
        (gap,) = reader.gaps
    assert gap.reason == "stalled"
    assert reader.truncated


def short_limits() -> list[float]:
    import cv2

    return [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, 2000, cv2.CAP_PROP_READ_TIMEOUT_MSEC, 500]


def test_what_is_not_there_is_said_at_once_and_without_the_password(serve: Serve) -> None:
    server = serve("RtspServer", numbered)
    server.close()
    with pytest.raises(UnavailableError, match="cannot be opened") as caught:
        StreamReader(server.url("admin:secret@"), None, Limits(PATIENCE_S))
    assert "secret" not in str(caught.value) and "admin" not in str(caught.value)


def test_a_password_is_used(serve: Serve) -> None:
    server = serve("RtspServer", numbered, password="admin:secret")
    with StreamReader(server.url("admin:secret@"), None, Limits(PATIENCE_S)) as reader:
        assert next(iter(reader)).image.shape == (48, 64, 3)


def test_a_server_that_says_nothing_does_not_hold_up_the_end(serve: Serve) -> None:
    server = serve("RtspServer", numbered)
    server.stall()
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    started = time.monotonic()
    with pytest.raises(UnavailableError, match="had not answered when it was stopped"):
        StreamReader(server.url(), None, Limits(stop=stop))
    # FFmpeg itself would wait for ten seconds.
    assert time.monotonic() - started < 8


@pytest.mark.parametrize("reason", ["stop", "max_seconds"])
def test_limits_end_a_stream_that_hangs(serve: Serve, reason: str) -> None:
    server = serve("MjpegServer", numbered)
    stop = threading.Event()
    limits = Limits(stop=stop) if reason == "stop" else Limits(max_seconds=2.0)
    started = time.monotonic()
    with StreamReader(server.url(), None, limits) as reader:
        frames = iter(reader)
        next(frames)
        server.stall()
        if reason == "stop":
            threading.Timer(0.5, stop.set).start()
        list(frames)
    assert time.monotonic() - started < 4.9
    assert not reader.truncated


def test_limits_end_the_waiting_for_a_stream_to_come_back(serve: Serve) -> None:
    server = serve("MjpegServer", numbered)
    stop = threading.Event()
    with StreamReader(server.url(), None, Limits(stop=stop)) as reader:
        frames = iter(reader)
        next(frames)
        server.close()
        assert within(lambda: bool(reader.gaps))
        stop.set()
        assert list(frames) == []
    # The gap that lasted when it ended is in the report, and does not grow after it.
    assert reader.gaps == reader.gaps != ()
    assert not reader.truncated


def test_a_file_on_a_web_server_is_read_frame_by_frame_with_its_own_times(
    serve: Serve, write_video: Callable[..., Path]
) -> None:
    path = write_video([numbered(frame) for frame in range(30)])
    server = serve("FileServer", path.read_bytes(), "clip.mp4")
    with StreamReader(server.url(), None, Limits(PATIENCE_S)) as reader:
        frames = list(reader)
    assert [frame.index for frame in frames] == list(range(30))
    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(30) / 25, atol=0.002)
    assert not reader.live and not reader.truncated
    assert reader.frames_dropped == 0 and reader.gaps == ()
    assert reader.info.duration_s == pytest.approx(1.2, abs=0.01)


class FakeConnection:
    """A camera as ``VideoReader`` shows it, from a list of frames a connection."""

    info = VideoInfo(4, 4, 25.0, None, 0, None)
    live, truncated = True, False

    def __init__(self, count: int) -> None:
        self._count, self.frames_decoded, self.last_s = count, 0, 0.0

    def __iter__(self) -> Iterator[Frame]:
        for index in range(self._count):
            self.frames_decoded += 1
            yield Frame(index, 0.0, np.zeros((4, 4, 3), np.uint8))


def fake_connections(monkeypatch: pytest.MonkeyPatch, counts: list[int]) -> None:
    monkeypatch.setattr(stream_reader, "keep_connected", lambda *_: (FakeConnection(count) for count in counts))


def test_the_gaps_of_a_bad_line_stay_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_reader, "MAXIMUM_GAPS", 5)
    fake_connections(monkeypatch, [1] * 20)
    with StreamReader(0, None, Limits(PATIENCE_S)) as reader:
        list(reader)
        assert len(reader.gaps) <= 6
        assert reader.frames_decoded == 20
        assert all(isinstance(gap, Gap) for gap in reader.gaps)


def test_errors_of_the_reading_reach_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Iterator[FakeConnection]:
        yield FakeConnection(1)
        raise OSError("the cable is out")

    monkeypatch.setattr(stream_reader, "keep_connected", broken)
    with StreamReader(0, None, Limits(PATIENCE_S)) as reader, pytest.raises(OSError, match="cable"):
        list(reader)


def test_leaving_early_ends_the_reading(serve: Serve) -> None:
    server = serve("MjpegServer", numbered)
    with StreamReader(server.url(), None, Limits(PATIENCE_S)) as reader:
        next(iter(reader))
    assert within(lambda: not reader._thread.is_alive())
    assert reader.gaps == ()
