"""A child decodes as this process would, and whatever happens to it costs one input."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tinydf_runtime.errors import InputTimeoutError, NoResourcesError, UnreadableInputError
from tinydf_runtime.io.file_frames import FileFrames
from tinydf_runtime.sandbox import client, start
from tinydf_runtime.sandbox.client import ChildFrames
from tinydf_runtime.sandbox.ring import Ring, make_memory
from tinydf_runtime.types import Frame, Image

pytestmark = pytest.mark.skipif(not start.AVAILABLE, reason="this system has no sandbox")
VideoWriter = Callable[..., Path]
INFO = {"width": 8, "height": 8, "fps": 25.0, "duration_s": 1.0, "rotation_deg": 0, "frames_expected": 25}
FACTS = {"decoded": 1, "adjustments": [], "caveats": [], "truncated": False}


def numbered(count: int, height: int = 120, width: int = 160) -> list[Image]:
    return [np.full((height, width, 3), 8 * i % 240, np.uint8) for i in range(count)]


def copies(frames: Iterator[Frame]) -> list[tuple[int, float, Image]]:
    return [(frame.index, frame.time_s, frame.image.copy()) for frame in frames]


@pytest.mark.parametrize("name", ["clip.mp4", "clip.avi", "clip.mkv"])
@pytest.mark.parametrize("sample_fps", [None, 5.0])
def test_a_child_gives_the_same_frames_and_facts(write_video: VideoWriter, name: str, sample_fps: float | None) -> None:
    path = str(write_video(numbered(60), name))
    with ChildFrames(path, sample_fps) as child, FileFrames(path, sample_fps) as thread:
        ours, theirs = copies(child), copies(thread)
        assert [frame[:2] for frame in ours] == [frame[:2] for frame in theirs] and len(ours) > 5
        assert all(np.array_equal(a[2], b[2]) for a, b in zip(ours, theirs, strict=True))
        assert (child.info, child.frames_decoded, child.truncated) == (thread.info, 60, False)


def test_frames_larger_than_the_memory_ahead_come_one_by_one(write_video: VideoWriter) -> None:
    path = str(write_video(numbered(5, 1600, 2560), "large.avi"))
    with ChildFrames(path, None) as frames:
        assert [frame.image.shape for frame in frames] == [(1600, 2560, 3)] * 5


def test_what_cannot_be_read_is_said_with_the_first_frame(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    for name in ("none.mp4", "empty.mp4"):
        with ChildFrames(str(tmp_path / name), 5.0) as frames, pytest.raises(UnreadableInputError, match=name):
            next(frames)


def test_a_library_that_the_child_lacks_is_named_with_the_line_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pi_heif.py").write_text("raise ModuleNotFoundError(name='pi_heif')")
    (tmp_path / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(200))
    start.stop()
    monkeypatch.syspath_prepend(str(tmp_path))
    told = r"^\S*phone\.heic: HEIC, which OpenCV cannot read\. .*'\.\[heic\]'$"
    try:
        missing = ChildFrames(str(tmp_path / "phone.heic"), None, "image")
        with missing as frames, pytest.raises(UnreadableInputError, match=told):
            next(frames)
    finally:
        start.stop()


def test_a_child_that_dies_costs_its_input_alone(write_video: VideoWriter) -> None:
    path = str(write_video(numbered(600, 480, 640), "clip.avi"))
    with ChildFrames(path, None) as frames:
        first = next(frames)
        assert first.index == 0
        os.kill(_child_of_server(), signal.SIGSEGV)
        rest = list(frames)
        assert frames.truncated and frames.caveats == ("decoding_failed",) and len(rest) < 599
    with ChildFrames(path, None) as frames:
        assert len(list(frames)) == 600


def test_a_child_that_dies_before_its_first_frame_is_named(write_video: VideoWriter) -> None:
    path = str(write_video(numbered(5)))
    with ChildFrames(path, None) as frames:
        frames._ring = Ring(memory := make_memory())
        os.close(memory)
        frames._buffer = json.dumps({"exit": -signal.SIGSEGV}).encode() + b"\n"
        with pytest.raises(UnreadableInputError, match=r"clip\.mp4: its decoder crashed \(SIGSEGV\)"):
            next(frames)


@pytest.mark.parametrize(
    "said", [{"exit": -999}, {"exit": -35}, {"error": "a\nb\x1b"}, {"exit": [1]}, [1], {"error": 5}]
)
def test_whatever_a_child_says_of_its_end_is_one_line(write_video: VideoWriter, said: object) -> None:
    with ChildFrames(str(write_video(numbered(5))), None) as frames:
        frames._buffer = json.dumps(said).encode() + b"\n"
        with pytest.raises(UnreadableInputError, match=r"\A.*\Z"):
            next(frames)


@pytest.mark.parametrize("said", [{"exit": -signal.SIGKILL}, {"refused": "Resource temporarily unavailable"}])
def test_what_the_machine_lacks_is_not_said_of_the_file(write_video: VideoWriter, said: object) -> None:
    with ChildFrames(str(write_video(numbered(5))), None) as frames:
        frames._buffer = json.dumps(said).encode() + b"\n"
        with pytest.raises(NoResourcesError, match=r"clip\.mp4: could not be decoded now .* may be good"):
            next(frames)


def test_a_child_that_ends_in_the_moment_in_which_its_reader_goes_ends_no_other(write_video: VideoWriter) -> None:
    path = str(write_video(numbered(5)))
    start.running()
    assert start._running is not None
    server = start._running[1]
    with ChildFrames(path, None) as first:
        next(first)
        child = _child_of_server()
        # The server learns of both at once, as it does where others take all the time.
        os.kill(server.pid, signal.SIGSTOP)
        list(first)
        _wait_until(lambda: not _lives(child))
    os.kill(server.pid, signal.SIGCONT)
    for _ in range(3):
        with ChildFrames(path, None) as frames:
            assert len(list(frames)) == 5
    assert start._running[1] is server and server.poll() is None


def test_a_server_without_room_for_one_more_child_says_so_and_goes_on(write_video: VideoWriter) -> None:
    path = str(write_video(numbered(5)))
    start.running()
    assert start._running is not None
    server = start._running[1].pid
    usual = resource.prlimit(server, resource.RLIMIT_NOFILE)
    try:
        resource.prlimit(server, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{server}/fd")), usual[1]))  # noqa: PTH208
        with ChildFrames(path, None) as frames, pytest.raises(NoResourcesError, match=r"clip\.mp4"):
            next(frames)
    finally:
        resource.prlimit(server, resource.RLIMIT_NOFILE, usual)
    with ChildFrames(path, None) as frames:
        assert len(list(frames)) == 5
    assert start._running[1].pid == server


def test_a_server_that_was_killed_is_started_again(write_video: VideoWriter) -> None:
    path = str(write_video(numbered(5)))
    start.running()
    assert start._running is not None
    os.kill(start._running[1].pid, signal.SIGKILL)
    start._running[1].wait()
    with ChildFrames(path, None) as frames:
        assert len(list(frames)) == 5


def test_leaving_early_ends_the_child(write_video: VideoWriter) -> None:
    path = str(write_video(numbered(300, 480, 640), "clip.avi"))
    with ChildFrames(path, None) as frames:
        next(frames)
        child = _child_of_server()
    _wait_until(lambda: not _lives(child))


@pytest.mark.parametrize(
    "message",
    [
        {"frame": [0, 0.0, 1 << 40, 100, 100], "decoded": 1},
        {"frame": [0, 0.0, -4096, 100, 100]},
        {"frame": "nonsense"},
        {"frame": [0, float("nan"), 0, 8, 8]},
        {"frame": [True, 0.0, 0, 8, 8]},
        {"frame": []},
        {"opened": {"width": 1}},
        {"opened": None},
        {"opened": INFO | {"width": "<script>"}},
        {"opened": INFO | {"more": 1}},
        FACTS | {"decoded": float("inf")},
        FACTS | {"caveats": ["nothing_wrong"]},
        FACTS | {"adjustments": [{}]},
        FACTS | {"truncated": 0},
        {"decode_s": -1},
    ],
)
def test_a_child_that_was_taken_over_cannot_lie_its_way_out(write_video: VideoWriter, message: object) -> None:
    with ChildFrames(str(write_video(numbered(5))), None) as frames:
        frames._buffer = json.dumps(message).encode() + b"\n"
        with pytest.raises(UnreadableInputError, match="gave no sense"):
            next(frames)


def test_waiting_ends_at_the_deadline_and_on_stop(write_video: VideoWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    monkeypatch.setattr(client, "ask_server", lambda request, memory: ours)
    with theirs, ChildFrames("clip.mp4", None) as frames:
        frames.bound(time.monotonic() + 0.1, None)
        with pytest.raises(InputTimeoutError, match=r"clip\.mp4: no picture in the time given"):
            next(frames)
        assert frames.timed_out
    ours, theirs = socket.socketpair()
    monkeypatch.setattr(client, "ask_server", lambda request, memory: ours)
    stop = threading.Event()
    stop.set()
    with theirs, ChildFrames("clip.mp4", None) as frames:
        frames.bound(None, stop)
        assert list(frames) == []


def test_shared_memory_cannot_be_shrunk_below_a_reader() -> None:
    memory = make_memory()
    try:
        with pytest.raises(OSError):
            os.ftruncate(memory, 0)
    finally:
        os.close(memory)


def _child_of_server() -> int:
    """Returns the process that decodes."""
    assert start._running is not None
    server = start._running[1].pid
    for _ in range(100):
        children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
        if children:
            return int(children[-1])
        time.sleep(0.02)
    raise AssertionError("no child")


def _wait_until(true: Callable[[], bool]) -> None:
    for _ in range(200):
        if true():
            return
        time.sleep(0.05)
    raise AssertionError("it never came true")


def _lives(process: int) -> bool:
    status = Path(f"/proc/{process}/stat")
    return status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_a_relative_path_is_meant_in_the_folder_of_now(
    write_video: VideoWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.start_early()
    write_video(numbered(3), "here.mp4")
    monkeypatch.chdir(tmp_path)
    with ChildFrames("here.mp4", None) as frames:
        assert len(list(frames)) == 3
