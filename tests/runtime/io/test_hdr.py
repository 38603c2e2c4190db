"""HDR pictures against the ordinary ones that they were made from."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tinydf_runtime.io import capture, filters, video
from tinydf_runtime.io.containers.container import HLG, PQ
from tinydf_runtime.io.filters import tone_map
from tinydf_runtime.io.video import VideoReader
from tinydf_runtime.types import Image

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
        planes = code @ np.linalg.inv(filters._of_planes(KR, KB)).T
        code = planes @ filters._of_planes(0.299, 0.114).T
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


def test_ordinary_video_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> Image:
        raise AssertionError

    monkeypatch.setattr(video, "tone_map", fail)
    with VideoReader(capture.SAMPLES / "hevc.mp4") as reader:
        assert len(list(reader)) == 2
        assert reader.adjustments == ()
