"""Interlaced pictures, woven here from two moments; HDR pictures against those that they were made from."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tinydf_runtime.analyzer import Analyzer
from tinydf_runtime.errors import UnreadableInputError
from tinydf_runtime.io import capture, filters, video
from tinydf_runtime.io.containers.container import HLG, PQ
from tinydf_runtime.io.filters import is_interlaced, keep_one_field, tone_map
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


# HDR


KR, KB = 0.2627, 0.0593
# ITU-R BT.2087: BT.709 to BT.2020 in linear light, RGB.
BT2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])


def to_hdr(image: Image, transfer: int) -> NDArray[np.float64]:
    """Code values 0..1, RGB in BT.2020, of a picture whose white shines with 203 nits."""
    light = ((image[..., ::-1] / 255.0) ** 2.4 @ BT2020.T).clip(0)
    if transfer == PQ:
        power = (light * 203 / 10000) ** 0.1593017578125
        return np.asarray(((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375)
    shown = light * 0.203
    luminance = np.maximum(shown @ np.array([KR, 1 - KR - KB, KB]), 1e-9)
    scene = shown * luminance[..., None] ** (1 / 1.2 - 1)
    high = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.asarray(np.where(scene <= 1 / 12, np.sqrt(3 * scene), high))


def bgr_of_planes(red: float, blue: float) -> NDArray[np.float64]:
    """The matrix from Y, Cb, Cr to B, G, R for the weights of red and blue in Y (ITU-R BT.601 and BT.2020)."""
    to_planes = [
        [blue, 1 - red - blue, red],
        np.divide([1 - blue, red + blue - 1, -red], 2 * (1 - blue)),
        np.divide([-blue, red + blue - 1, 1 - red], 2 * (1 - red)),
    ]
    return np.linalg.inv(np.array(to_planes))


def write_hdr(path: Path, image: Image, transfer: int) -> Path:
    av: Any = pytest.importorskip("av")
    code = to_hdr(image, transfer)
    luma = code @ np.array([KR, 1 - KR - KB, KB])
    blue, red = (code[..., 2] - luma) / (2 * (1 - KB)), (code[..., 0] - luma) / (2 * (1 - KR))
    small = [cv2.resize(plane, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for plane in (blue, red)]
    planes = [np.rint(876 * luma + 64), *(np.rint(896 * plane + 512) for plane in small)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            "libx265", rate=25, options={"x265-params": "log-level=none", "crf": "10", "preset": "ultrafast"}
        )
        stream.height, stream.width = image.shape[:2]
        stream.pix_fmt = "yuv420p10le"
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace, context.color_range = 9, transfer, 9, 1
        for number in range(6):
            frame = av.VideoFrame(stream.width, stream.height, "yuv420p10le")
            for plane, values in zip(frame.planes, planes, strict=True):
                rows = np.zeros((plane.height, plane.line_size // 2), "<u2")
                rows[:, : values.shape[1]] = values
                plane.update(rows.tobytes())
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("transfer", [PQ, HLG])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_hdr_video_looks_like_the_ordinary_one(tmp_path: Path, astronaut: Image, transfer: int, suffix: str) -> None:
    image = np.asarray(cv2.resize(astronaut, (160, 160), interpolation=cv2.INTER_AREA), np.uint8)
    with VideoReader(write_hdr(tmp_path / f"hdr{suffix}", image, transfer)) as reader:
        frames = list(reader)
        assert reader.adjustments == ("tone_mapped",)
    # Left as it is decoded, the mean difference is 20 (HLG) and 35 (PQ).
    assert np.abs(frames[0].image.astype(int) - image).mean() < 8
    assert len(frames) == 6


@pytest.mark.parametrize("transfer", [PQ, HLG])
@pytest.mark.parametrize("decoded_as_bt601", [False, True])
def test_tone_mapping_gives_back_what_was_made_hdr(astronaut: Image, transfer: int, decoded_as_bt601: bool) -> None:
    code = to_hdr(astronaut, transfer)[..., ::-1]
    if decoded_as_bt601:
        code = code @ np.linalg.inv(bgr_of_planes(KR, KB)).T @ bgr_of_planes(0.299, 0.114).T
    decoded = np.rint(255 * code).clip(0, 255).astype(np.uint8)
    assert np.abs(decoded.astype(int) - astronaut).mean() > 15
    assert np.abs(tone_map(decoded, transfer, decoded_as_bt601).astype(int) - astronaut).mean() < 8


def test_what_is_brighter_than_white_stays_in_order() -> None:
    for transfer in (PQ, HLG):
        ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
        grey = tone_map(np.repeat(ramp, 4, axis=0), transfer, decoded_as_bt601=False)[0, :, 1].astype(int)
        assert (np.diff(grey) >= 0).all() and grey[0] == 0 and grey[-1] >= 250


def test_opencv_that_maps_tones_is_told_by_its_swscale(monkeypatch: pytest.MonkeyPatch) -> None:
    for line, maps in (("swscale:  YES (9.1.100)", True), ("swscale:  YES (6.7.100)", False), ("", False)):
        monkeypatch.setattr(cv2, "getBuildInformation", lambda line=line: line)
        assert filters.opencv_tone_maps() is maps


def test_ordinary_video_is_left_alone() -> None:
    path = capture.SAMPLES / "hevc.mp4"
    with VideoReader(path) as reader:
        frames = [frame.image.copy() for frame in reader]
        assert reader.adjustments == ()
    plain = cv2.VideoCapture(str(path))
    for frame in frames:
        np.testing.assert_array_equal(frame, plain.read()[1])
    assert len(frames) == 2 and not plain.read()[0]
