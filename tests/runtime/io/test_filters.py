"""Interlaced pictures, woven here from two moments."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tinydf_runtime.analyzer import Analyzer
from tinydf_runtime.errors import UnreadableInputError
from tinydf_runtime.io import capture, video
from tinydf_runtime.io.filters import is_interlaced, keep_one_field
from tinydf_runtime.io.video import VideoReader
from tinydf_runtime.types import Image


def weave(first: Image, second: Image) -> Image:
    woven = first.copy()
    woven[1::2] = second[1::2]
    return woven


@pytest.fixture(scope="module")
def photo(astronaut: Image) -> Image:
    return np.asarray(cv2.resize(astronaut, (720, 576), interpolation=cv2.INTER_AREA), np.uint8)


def moved(image: Image, by_px: int) -> Image:
    return np.roll(image, by_px, axis=1)


@pytest.mark.parametrize("by_px", [3, 8, 20])
def test_moving_woven_pictures_are_combed_and_one_field_is_not(photo: Image, by_px: int) -> None:
    woven = weave(photo, moved(photo, by_px))
    assert is_interlaced(woven)
    kept = keep_one_field(woven)
    assert kept.shape == photo.shape and not is_interlaced(kept)
    # It is the first moment, not a mixture of both.
    assert np.abs(kept.astype(int) - photo).mean() < 0.5 * np.abs(woven.astype(int) - photo).mean()


def test_whole_pictures_are_not_combed(photo: Image) -> None:
    lines = np.full((576, 720, 3), 30, np.uint8)
    lines[::16] = 220
    noise = np.random.default_rng(0).normal(0, 12, photo.shape)
    noisy = np.rint(photo + noise).clip(0, 255).astype(np.uint8)
    for image in (photo, lines, noisy, weave(photo, photo), np.zeros((480, 640, 3), np.uint8)):
        assert not is_interlaced(image)
    assert not is_interlaced(np.zeros((720, 1280, 3), np.uint8)) and not is_interlaced(np.zeros((1, 1, 3), np.uint8))


def write_interlaced(path: Path, photo: Image) -> Path:
    """Writes H.264 whose frames are marked as interlaced, and are."""
    av: Any = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            "libx264", rate=25, options={"x264-params": "interlaced=1", "preset": "ultrafast"}
        )
        stream.height, stream.width = photo.shape[:2]
        stream.pix_fmt = "yuv420p"
        for number in range(3):
            woven = weave(moved(photo, 12 * number), moved(photo, 12 * number + 6))
            frame = av.VideoFrame.from_ndarray(woven, format="bgr24").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_interlaced_video_gives_pictures_of_one_moment(tmp_path: Path, photo: Image, suffix: str) -> None:
    with VideoReader(write_interlaced(tmp_path / f"woven{suffix}", photo)) as reader:
        frames = list(reader)
        assert reader.adjustments == ("deinterlaced",)
    assert len(frames) == 3
    for number, frame in enumerate(frames):
        assert not is_interlaced(frame.image)
        assert np.abs(frame.image.astype(int) - moved(photo, 12 * number)).mean() < 10


def test_the_report_says_what_was_done(
    tmp_path: Path, photo: Image, tiny_classifier: Path, tiny_detector: Path
) -> None:
    path = write_interlaced(tmp_path / "woven.mp4", photo)
    item = Analyzer(tiny_classifier, detector=tiny_detector, threads=1).analyze_input(path)
    assert item.adjustments == ("deinterlaced",)


def test_without_pyav_no_wrong_picture_is_shown(tmp_path: Path, photo: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_interlaced(tmp_path / "woven.mp4", photo)
    monkeypatch.setattr(capture, "find_spec", lambda name: None)
    if capture.opencv_converts_interlaced():
        with VideoReader(path) as reader:
            assert np.abs(next(iter(reader)).image.astype(int) - photo).mean() < 10
    else:
        with pytest.raises(UnreadableInputError, match=r"interlaced.*'\.\[video\]'"):
            VideoReader(path)


def test_whole_video_is_read_by_opencv(write_video: Callable[..., Path], photo: Image) -> None:
    with VideoReader(write_video([photo] * 3)) as reader:
        assert isinstance(reader._capture, cv2.VideoCapture)
        assert len(list(reader)) == 3
        assert reader.adjustments == ()


def test_after_a_row_of_whole_pictures_one_in_four_is_looked_at_until_one_is_combed(
    write_video: Callable[..., Path], photo: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []
    with VideoReader(write_video([photo] * 24)) as reader:

        def combed(image: Image) -> bool:
            looked.append(reader.frames_decoded)
            return reader.frames_decoded == 16

        monkeypatch.setattr(video, "is_interlaced", combed)
        frames = list(reader)
    assert looked == [*range(1, 9), 12, 16, *range(17, 25)]
    assert len(frames) == 24 and reader.adjustments == ("deinterlaced",)
