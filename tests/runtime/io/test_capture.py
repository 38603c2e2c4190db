"""What stands in where OpenCV cannot read, and what is said where nothing can."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from tinydf_runtime.errors import UnreadableInputError
from tinydf_runtime.io import capture
from tinydf_runtime.io.av_capture import AvCapture
from tinydf_runtime.io.capture import SAMPLES, open_file
from tinydf_runtime.io.containers.container import read_container
from tinydf_runtime.io.opencv import quiet
from tinydf_runtime.io.video import VideoReader


def _opencv_reads(name: str) -> bool:
    with quiet():
        return bool(cv2.VideoCapture(str(SAMPLES / name)).read()[0])


@pytest.mark.parametrize("name", sorted(path.name for path in SAMPLES.iterdir()))
def test_every_sample_is_an_even_grey(name: str) -> None:
    if name in ("av1.mp4", "h264_interlaced.mp4"):
        pytest.importorskip("av")
    with VideoReader(SAMPLES / name) as reader:
        frames = list(reader)
    assert [frame.index for frame in frames] == [0, 1]
    assert frames[1].time_s == pytest.approx(0.04, abs=0.01)
    # 180 in limited range; Motion JPEG uses the full one.
    expected = 180 if name.endswith(".avi") else 190
    assert all(np.abs(frame.image.astype(int) - expected).max() <= 3 for frame in frames)


def test_what_opencv_cannot_decode_needs_pyav_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    if _opencv_reads("av1.mp4"):
        pytest.skip("this OpenCV decodes AV1")
    monkeypatch.setattr(capture, "find_spec", lambda name: None)
    with pytest.raises(UnreadableInputError, match=r"av1\.mp4.*AV1.*'\.\[video\]'"):
        open_file(SAMPLES / "av1.mp4")


def test_pyav_ends_where_a_file_is_damaged(tmp_path: Path) -> None:
    pytest.importorskip("av")
    logging.getLogger("libav").setLevel(logging.CRITICAL)
    content = bytearray((SAMPLES / "h264_interlaced.mp4").read_bytes())
    path = tmp_path / "damaged.mp4"
    at = content.find(b"mdat") + 4
    content[at : at + 700] = bytes(700)
    path.write_bytes(content)
    with pytest.raises(UnreadableInputError, match=r"damaged\.mp4: no frame could be decoded"):
        open_file(path)
    opened = AvCapture(SAMPLES / "h264.mp4", cv2.VideoCapture(str(SAMPLES / "h264.mp4")))
    assert opened.retrieve() == (False, None) and np.isnan(opened.get(cv2.CAP_PROP_POS_MSEC))
    assert opened.grab() and opened.grab() and not opened.grab()
    opened.release()


def test_headers_tell_what_may_be_interlaced() -> None:
    found = {path.name: read_container(path).may_interlace for path in SAMPLES.iterdir()}
    assert {name for name, may in found.items() if may} == {"h264_interlaced.mp4"}


def test_loudness_of_opencv_is_what_it_was() -> None:
    logging_of = cv2 if hasattr(cv2, "setLogLevel") else cv2.utils.logging
    before = logging_of.getLogLevel()
    with quiet(), quiet():
        assert logging_of.getLogLevel() == 0
    assert logging_of.getLogLevel() == before
