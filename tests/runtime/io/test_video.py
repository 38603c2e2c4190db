"""video.py over videos drawn here."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tinydf_runtime.errors import UnavailableError, UnreadableInputError, UsageError
from tinydf_runtime.io.capture import Capture, open_file
from tinydf_runtime.io.containers.container import Container
from tinydf_runtime.io.formats import IMAGE_SUFFIXES
from tinydf_runtime.io.video import VIDEO_SUFFIXES, VideoReader
from tinydf_runtime.types import Image

Corner = Callable[[Image], tuple[str, str]]

WIDTH, HEIGHT = 160, 120
FORMATS = ["clip.mp4", "clip.mov", "clip.mkv", "clip.avi", "clip.webm"]

# tkhd matrices (a, b, c, d) that ask a player to turn the picture clockwise by so many degrees.
MATRICES = {0: (1, 0, 0, 1), 90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}


def _numbered(count: int) -> list[Image]:
    """Frames that show their number: a bar whose length grows, over noise that does not compress to nothing."""
    frames = []
    for number in range(count):
        noise = np.random.default_rng(number).integers(0, 40, (HEIGHT, WIDTH, 3))
        image = noise.astype(np.uint8)
        image[40:80, : 10 + 2 * number] = 230
        frames.append(image)
    return frames


def _number_of(image: Image) -> int:
    return round((float((image[55:65].mean(axis=(0, 2)) > 128).sum()) - 10) / 2)


def _turn(path: Path, matrix: tuple[int, int, int, int]) -> None:
    """Writes a matrix into an mp4's track header, where phones put their rotation."""
    content = bytearray(path.read_bytes())
    at = content.find(b"tkhd") + 4 + 40
    a, b, c, d = (value << 16 for value in matrix)
    content[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)


@pytest.mark.parametrize("name", FORMATS)
def test_every_frame_comes_once_in_order_with_its_time(write_video: Callable[..., Path], name: str) -> None:
    path = write_video(_numbered(20), name)
    with VideoReader(path) as reader:
        assert (reader.info.width, reader.info.height, reader.info.rotation_deg) == (WIDTH, HEIGHT, 0)
        assert reader.info.fps == pytest.approx(25)
        assert reader.info.duration_s == pytest.approx(0.8, abs=0.05)
        assert reader.kind == "video"
        frames = list(reader)
        assert reader.frames_decoded == 20
        assert not reader.truncated
    assert [frame.index for frame in frames] == list(range(20))
    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(20) / 25, atol=1e-3)
    assert [_number_of(frame.image) for frame in frames] == list(range(20))
    assert all(frame.image.dtype == np.uint8 and frame.image.flags.c_contiguous for frame in frames)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("fps", [25.0, 30000 / 1001])
@pytest.mark.parametrize("sample_fps", [1.0, 5.0, 12.0, 1000.0])
def test_sampled_times_lie_on_the_grid(
    write_video: Callable[..., Path], name: str, fps: float, sample_fps: float
) -> None:
    path = write_video(_numbered(50), name, fps=fps)
    with VideoReader(path, sample_fps=sample_fps) as reader:
        frames = list(reader)
        assert reader.frames_decoded == 50
    times = np.array([frame.time_s for frame in frames])
    wanted = np.arange(0, 50 / fps - 1e-6, 1 / min(sample_fps, fps))
    assert len(times) == pytest.approx(len(wanted), abs=1)
    # Each wanted time gets the first frame that is not before it.
    late = times - wanted[: len(times)]
    assert late.min() > -0.0011 and late.max() < 1 / fps + 0.0011
    assert [_number_of(frame.image) for frame in frames] == [frame.index for frame in frames]


def test_sampling_at_the_frame_rate_gives_every_frame(write_video: Callable[..., Path]) -> None:
    for name in FORMATS:
        with VideoReader(write_video(_numbered(30), name, fps=30), sample_fps=30) as reader:
            assert len(list(reader)) == 30


class Decoder:
    """What reads a file, but for what a test changes."""

    def __init__(self, capture: Capture) -> None:
        self._capture = capture

    def __getattr__(self, name: str) -> Any:
        return getattr(self._capture, name)


def _read_by(decoder: type[Decoder], monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts a decoder between readers and the files that they open."""

    def opened(path: Path) -> tuple[Decoder, Container]:
        capture, container = open_file(path)
        return decoder(capture), container

    monkeypatch.setattr("tinydf_runtime.io.video.open_file", opened)


def test_skipped_frames_are_not_converted(write_video: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    converted: list[float] = []

    class Counting(Decoder):
        def retrieve(self) -> tuple[bool, object]:
            converted.append(self.get(cv2.CAP_PROP_POS_FRAMES) - 1)
            return self._capture.retrieve()

    _read_by(Counting, monkeypatch)
    with VideoReader(write_video(_numbered(50)), sample_fps=5) as reader:
        assert [frame.index for frame in reader] == converted == list(range(0, 50, 5))


@pytest.mark.parametrize("rotation_deg", MATRICES)
@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_rotated_video_stands_upright(
    write_video: Callable[..., Path], rotation_deg: int, suffix: str, quadrant: Image, red_corner: Corner
) -> None:
    corner = {0: ("top", "left"), 90: ("top", "right"), 180: ("bottom", "right"), 270: ("bottom", "left")}
    path = write_video([quadrant] * 3, f"turned{suffix}")
    _turn(path, MATRICES[rotation_deg])
    with VideoReader(path) as reader:
        assert reader.info.rotation_deg == rotation_deg
        for frame in reader:
            assert red_corner(frame.image) == corner[rotation_deg]
            assert frame.image.shape == (reader.info.height, reader.info.width, 3)
    assert (reader.info.width > reader.info.height) == (rotation_deg in (0, 180))


@pytest.mark.parametrize(
    ("matrix", "corner"),
    [
        ((-1, 0, 0, 1), ("top", "right")),
        ((1, 0, 0, -1), ("bottom", "left")),
        ((0, 1, 1, 0), ("top", "left")),
        ((0, -1, -1, 0), ("bottom", "right")),
    ],
)
def test_mirrored_video_is_shown_as_players_show_it(
    write_video: Callable[..., Path],
    matrix: tuple[int, int, int, int],
    corner: tuple[str, str],
    quadrant: Image,
    red_corner: Corner,
) -> None:
    path = write_video([quadrant] * 3, "mirrored.mp4")
    _turn(path, matrix)
    with VideoReader(path) as reader:
        for frame in reader:
            assert red_corner(frame.image) == corner
            assert frame.image.shape == (reader.info.height, reader.info.width, 3)
    assert (reader.info.width > reader.info.height) == (matrix[0] != 0)


def test_rotation_in_matroska_is_followed(
    write_video: Callable[..., Path], tmp_path: Path, quadrant: Image, red_corner: Corner
) -> None:
    av = pytest.importorskip("av")
    path = write_video([quadrant] * 3, "turned.mp4")
    _turn(path, MATRICES[90])
    with av.open(str(path)) as source, av.open(str(tmp_path / "turned.mkv"), "w") as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.stream = stream
                container.mux(packet)
    with VideoReader(tmp_path / "turned.mkv") as reader:
        if not reader.info.rotation_deg:
            pytest.skip("this OpenCV's FFmpeg does not read a Matroska file's rotation")
        assert reader.info.rotation_deg == 90
        assert red_corner(next(iter(reader)).image) == ("top", "right")


def test_hours_of_video_keep_their_times(tmp_path: Path) -> None:
    shown_ms = 3_600_000 * np.arange(0, 40, 4)
    with VideoReader(_write_timed(tmp_path / "long.mkv", shown_ms), sample_fps=5) as reader:
        times = [frame.time_s for frame in reader]
    np.testing.assert_allclose(times, shown_ms / 1000, atol=2e-3)


@pytest.mark.parametrize(("width", "height"), [(16, 16), (641, 479), (3840, 2160)])
def test_odd_tiny_and_large_pictures_keep_their_size(tmp_path: Path, width: int, height: int) -> None:
    av = pytest.importorskip("av")
    path = tmp_path / "sized.mkv"
    image = np.full((height, width, 3), 40, np.uint8)
    image[:, width // 2 :] = 200
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode(None))
    with VideoReader(path) as reader:
        assert (reader.info.width, reader.info.height) == (width, height)
        for frame in reader:
            assert frame.image.shape == (height, width, 3)
            assert abs(float(frame.image[:, -1].mean()) - 200) < 12 and abs(float(frame.image[-1, 0].mean()) - 40) < 12


@pytest.mark.parametrize(
    ("codec", "pixel_format", "full_range"),
    [
        ("libx264", "yuv420p", False),
        ("libx264", "yuvj420p", True),
        ("libx264", "yuv420p10le", False),
        ("libx264", "yuv444p", False),
        ("libx265", "yuv420p10le", False),
        ("libvpx-vp9", "yuv420p", False),
    ],
)
def test_depths_and_ranges_give_the_same_grey(tmp_path: Path, codec: str, pixel_format: str, full_range: bool) -> None:
    av = pytest.importorskip("av")
    path = tmp_path / ("clip.webm" if "vp9" in codec else "clip.mp4")
    with av.open(str(path), "w") as container:
        options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixel_format
        for number in range(4):
            frame = av.VideoFrame(WIDTH, HEIGHT, pixel_format)
            deep = pixel_format.endswith("10le")
            for i, plane in enumerate(frame.planes):
                level = 128 if i else (120 if full_range else 119)
                content = np.full(
                    plane.buffer_size // (2 if deep else 1), level * (4 if deep else 1), "<u2" if deep else "u1"
                )
                plane.update(content.tobytes())
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with VideoReader(path) as reader:
        frames = list(reader)
    assert len(frames) == 4
    assert all(np.abs(frame.image.astype(int) - 120).max() <= 4 for frame in frames)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_variable_frame_rate_gives_real_times_and_no_false_alarm(tmp_path: Path, suffix: str) -> None:
    shown_ms = np.cumsum([0] + [20 if step % 10 < 5 else 120 for step in range(49)])
    path = _write_timed(tmp_path / f"variable{suffix}", shown_ms)
    with VideoReader(path) as reader:
        times = [frame.time_s for frame in reader]
        assert not reader.truncated
        assert reader.info.duration_s == pytest.approx(shown_ms[-1] / 1000, abs=0.15)
    np.testing.assert_allclose(times, shown_ms / 1000, atol=2e-3)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_video_that_starts_late_is_whole(tmp_path: Path, suffix: str) -> None:
    path = _write_timed(tmp_path / f"late{suffix}", 3000 + 40 * np.arange(50))
    with VideoReader(path) as reader:
        times = [frame.time_s for frame in reader]
        if suffix == ".mp4" or hasattr(cv2, "CAP_PROP_PTS"):
            assert not reader.truncated
    np.testing.assert_allclose(times, np.arange(50) / 25, atol=2e-3)


def test_times_rise_even_when_the_file_gives_none(
    write_video: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoClock(Decoder):
        def get(self, which: int) -> float:
            return 0.0 if which == cv2.CAP_PROP_POS_MSEC else self._capture.get(which)

    _read_by(NoClock, monkeypatch)
    with VideoReader(write_video(_numbered(10))) as reader:
        times = [frame.time_s for frame in reader]
    np.testing.assert_allclose(times, np.arange(10) / 25)


@pytest.mark.parametrize("keep", [0.4, 0.7, 0.9])
@pytest.mark.parametrize("name", ["cut.mp4", "cut.mov", "cut.mkv", "cut.webm", "cut.avi"])
def test_file_cut_off_is_flagged_and_what_is_left_is_read(
    cut_video: Callable[..., Path], name: str, keep: float
) -> None:
    path = cut_video(_numbered(60), name, keep)
    with VideoReader(path) as reader:
        frames = list(reader)
        assert reader.truncated
        assert 0 < len(frames) == reader.frames_decoded < 60
        assert reader.info.frames_expected == 60
    # The last frame may be cut itself.
    assert [_number_of(frame.image) for frame in frames[:-1]] == list(range(len(frames) - 1))


def test_whole_file_with_its_index_first_is_not_flagged(cut_video: Callable[..., Path]) -> None:
    with VideoReader(cut_video(_numbered(30), keep=1.0)) as reader:
        assert len(list(reader)) == 30
        assert not reader.truncated


def test_damage_in_the_middle_is_flagged(cut_video: Callable[..., Path]) -> None:
    path = cut_video(_numbered(60), keep=1.0)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    path.write_bytes(content)
    with VideoReader(path) as reader:
        assert len(list(reader)) < 60
        assert reader.truncated


def test_reading_stopped_early_says_nothing_about_the_file(cut_video: Callable[..., Path]) -> None:
    with VideoReader(cut_video(_numbered(60))) as reader:
        for frame in reader:
            if frame.index == 5:
                break
        assert reader.frames_decoded == 6
        assert not reader.truncated


def test_unreadable_inputs_are_named_in_one_line(
    tmp_path: Path, cut_video: Callable[..., Path], write_video: Callable[..., Path]
) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("not a video\n" * 200)
    (tmp_path / "text.avi").write_text("not a video\n" * 200)
    (tmp_path / "zeros.mkv").write_bytes(bytes(5000))
    (tmp_path / "folder.mp4").mkdir()
    cut_video(_numbered(10), "stub.mp4", keep=0.01)
    (tmp_path / "notes.txt").write_text("not a video, though FFmpeg would draw it\n" * 200)
    # Cameras write the index last: what is cut off there cannot be played at all.
    camera = write_video(_numbered(10), "camera.mp4")
    camera.write_bytes(camera.read_bytes()[:-300])
    for name, reason in (
        ("missing.mp4", "No such file"),
        ("empty.mp4", "file is empty"),
        ("text.mp4", "no video stream found"),
        ("text.avi", "no video stream found"),
        ("zeros.mkv", "no video stream found"),
        ("folder.mp4", "is a folder"),
        ("stub.mp4", "cut off"),
        ("camera.mp4", "cut off"),
        ("notes.txt", "no video stream found"),
    ):
        for source in (tmp_path / name, str(tmp_path / name)):
            with pytest.raises(UnreadableInputError, match=reason) as caught:
                VideoReader(source)
            assert name in str(caught.value) and "\n" not in str(caught.value)


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        for number in range(10):
            sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            sound.sample_rate, sound.pts = 16000, 1024 * number
            container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    with pytest.raises(UnreadableInputError, match=r"sound\.mp4: no video stream found, only sound \(mp4a\)"):
        VideoReader(path)


def test_video_without_one_decodable_frame_is_an_error(
    cut_video: Callable[..., Path], write_video: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = cut_video(_numbered(10), keep=1.0)
    content = bytearray(path.read_bytes())
    at = content.find(b"mdat") + 4
    content[at:] = bytes(len(content) - at)
    path.write_bytes(content)
    with pytest.raises(UnreadableInputError, match="Check that the file plays"), VideoReader(path) as reader:
        list(reader)

    class Blind(Decoder):
        def retrieve(self) -> tuple[bool, object]:
            return False, None

    _read_by(Blind, monkeypatch)
    with (
        VideoReader(write_video(_numbered(5))) as reader,
        pytest.raises(UnreadableInputError, match="no frame could be decoded"),
    ):
        list(reader)


def test_bad_files_leave_stderr_clean(tmp_path: Path, cut_video: Callable[..., Path]) -> None:
    (tmp_path / "text.mp4").write_text("not a video\n" * 200)
    (tmp_path / "text.jpg").write_text("not a photo")
    whole = cv2.imencode(".png", np.zeros((50, 50, 3), np.uint8))[1].tobytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "cut.bmp").write_bytes(cv2.imencode(".bmp", np.zeros((50, 50, 3), np.uint8))[1].tobytes()[:900])
    damaged = cut_video(_numbered(40), "damaged.mp4", keep=0.6)
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 400] = b"\xa5" * 400
    damaged.write_bytes(content)
    code = """
import sys
from pathlib import Path
from tinydf_runtime.io.capture import Capture
from tinydf_runtime.errors import TinyDFError
from tinydf_runtime.io.image import read_image
from tinydf_runtime.io.video import VideoReader
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        read_image(path) if path.suffix in (".jpg", ".png", ".bmp") else list(VideoReader(path))
    except TinyDFError:
        print(path.name)
"""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("OPENCV")}
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, env=environment, check=True
    )
    assert run.stderr == ""
    assert run.stdout.split() == ["cut.bmp", "cut.png", "text.jpg", "text.mp4"]


def test_odd_file_names_are_files_and_never_addresses(
    write_video: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = write_video(_numbered(5))
    monkeypatch.chdir(tmp_path)
    for name in ("-x.mp4", "concat:x.mp4", "a b;$(c)'.mp4", "img_%03d.mp4", "7", "ünï.mp4"):
        clip.rename(name)
        clip = tmp_path / name
        with VideoReader(name) as reader:
            assert reader.kind == "video"
            assert len(list(reader)) == 5


def test_camera_or_stream_that_is_not_there_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int | str] = []

    def nothing(source: int | str) -> cv2.VideoCapture:
        asked.append(source)
        return cv2.VideoCapture()

    monkeypatch.setattr("tinydf_runtime.io.video.open_source", nothing)
    for source in (987, "987", "rtsp://127.0.0.1:9/none", "http://127.0.0.1:9/none"):
        with pytest.raises(UnavailableError, match="cannot be opened"):
            VideoReader(source)
    assert asked == [987, 987, "rtsp://127.0.0.1:9/none", "http://127.0.0.1:9/none"]


def test_stream_is_timed_by_a_clock_and_never_truncated(
    write_video: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_video(_numbered(10))
    monkeypatch.setattr("tinydf_runtime.io.video.open_source", lambda source: cv2.VideoCapture(str(path)))
    with VideoReader(0) as reader:
        assert reader.kind == "stream"
        assert reader.info.duration_s is None and reader.info.frames_expected is None
        times = [frame.time_s for frame in reader]
        assert not reader.truncated
    assert len(times) == 10 and all(late > early for early, late in pairwise(times))


@pytest.mark.parametrize("sample_fps", [0, -1.0, float("nan")])
def test_sample_rate_must_be_above_zero(write_video: Callable[..., Path], sample_fps: float) -> None:
    with pytest.raises(UsageError, match="sample_fps"):
        VideoReader(write_video(_numbered(2)), sample_fps=sample_fps)


def test_endings_are_lower_case_and_never_both() -> None:
    assert not VIDEO_SUFFIXES & IMAGE_SUFFIXES
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in VIDEO_SUFFIXES | IMAGE_SUFFIXES)


def _write_timed(path: Path, shown_ms: np.ndarray) -> Path:
    """Writes frames to be shown at given milliseconds."""
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx-vp9" if path.suffix == ".webm" else "mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for image, time_ms in zip(_numbered(len(shown_ms)), shown_ms, strict=True):
            picture = av.VideoFrame.from_ndarray(image, format="bgr24")
            picture.pts, picture.time_base = int(time_ms), Fraction(1, 1000)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path
