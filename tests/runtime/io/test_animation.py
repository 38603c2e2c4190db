"""Animated pictures as films."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from tinydf_runtime.errors import UnreadableInputError
from tinydf_runtime.io import animation
from tinydf_runtime.io.formats import is_image
from tinydf_runtime.io.image import read_image
from tinydf_runtime.io.video import VideoReader
from tinydf_runtime.types import Image

DURATIONS_MS = [100, 200, 300, 100, 50, 100]
needs_animations = pytest.mark.skipif(
    not hasattr(cv2, "imwriteanimation"), reason="OpenCV before 4.11 has no animations"
)


def _write(path: Path, count: int = len(DURATIONS_MS)) -> Path:
    pictures = [np.full((48, 64, 3), 40 * number, np.uint8) for number in range(count)]
    # Frames that are alike would be joined.
    for number, picture in enumerate(pictures):
        picture[:, : 8 * (number + 1)] = (0, 0, 255)
    movie = cv2.Animation()
    movie.frames = pictures
    movie.durations = DURATIONS_MS[:count]
    assert cv2.imwriteanimation(str(path), movie)
    return path


def _width_of_red(image: Image) -> int:
    row = image[24].astype(int)
    return int(((row[:, 2] - row[:, 0]) > 100).sum())


@needs_animations
def test_text_before_an_animation_does_not_hide_it(tmp_path: Path) -> None:
    path = _write(tmp_path / "moving.png")
    content = path.read_bytes()
    at = content.index(b"acTL") - 4
    for text in (b"Comment\0" + b"x" * 100_000, b"Comment\0IDAT"):
        chunk = len(text).to_bytes(4, "big") + b"tEXt" + text
        chunk += zlib.crc32(chunk[4:]).to_bytes(4, "big")
        path.write_bytes(content[:at] + chunk + content[at:])
        assert not is_image(path)


@needs_animations
def test_transparent_parts_of_an_animation_are_white(tmp_path: Path) -> None:
    movie = cv2.Animation()
    movie.frames = [np.full((48, 64, 4), (40, 40, 40, opacity), np.uint8) for opacity in (0, 255)]
    movie.durations = [100, 100]
    assert cv2.imwriteanimation(str(tmp_path / "moving.png"), movie)
    with VideoReader(tmp_path / "moving.png") as reader:
        assert [int(frame.image.mean()) for frame in reader] == [255, 40]


@needs_animations
@pytest.mark.parametrize("name", ["moving.gif", "moving.webp", "moving.png"])
def test_pictures_come_in_order_with_their_times(tmp_path: Path, name: str) -> None:
    path = _write(tmp_path / name)
    assert not is_image(path)
    with VideoReader(path) as reader:
        frames = list(reader)
        assert (reader.info.width, reader.info.height) == (64, 48)
        assert not reader.truncated
    assert [_width_of_red(frame.image) for frame in frames] == pytest.approx([8, 16, 24, 32, 40, 48], abs=2)
    np.testing.assert_allclose([frame.time_s for frame in frames], [0, 0.1, 0.3, 0.6, 0.7, 0.75], atol=0.02)
    assert all(frame.image.shape == (48, 64, 3) for frame in frames)


@needs_animations
def test_long_animations_are_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(animation, "CHUNK_BYTES", 2 * 48 * 64 * 4)
    path = _write(tmp_path / "moving.webp")
    asked: list[int] = []
    read = cv2.imreadanimation

    def count(name: str, first: int, number: int) -> tuple[bool, cv2.Animation]:
        asked.append(number)
        return read(name, first, number)

    monkeypatch.setattr(cv2, "imreadanimation", count)
    with VideoReader(path) as reader:
        assert [_width_of_red(frame.image) for frame in reader] == pytest.approx([8, 16, 24, 32, 40, 48], abs=2)
    assert max(asked) == 2


@needs_animations
@pytest.mark.parametrize("name", ["still.gif", "still.webp", "still.png"])
def test_one_picture_is_an_image(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    assert cv2.imwrite(str(path), np.full((48, 64, 3), 90, np.uint8))
    assert is_image(path)
    assert read_image(path).shape == (48, 64, 3)


@needs_animations
def test_an_old_opencv_and_damage_are_named_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _write(tmp_path / "moving.webp")
    whole = path.read_bytes()
    path.write_bytes(whole[:60])
    with pytest.raises(UnreadableInputError, match=r"moving\.webp"):
        VideoReader(path)
    path.write_bytes(whole)
    monkeypatch.delattr(cv2, "imreadanimation")
    with pytest.raises(UnreadableInputError, match="pip install -U opencv"):
        VideoReader(path)


def test_films_are_not_animations(write_video: Callable[..., Path], tmp_path: Path) -> None:
    assert not animation.is_animated(write_video([np.zeros((48, 64, 3), np.uint8)] * 3))
    assert not animation.is_animated(tmp_path / "missing.gif")
    (tmp_path / "short.gif").write_bytes(b"GIF89a")
    assert not animation.is_animated(tmp_path / "short.gif")


@needs_animations
@pytest.mark.parametrize("name", ["moving.webp", "moving.png"])
def test_a_damaged_animation_is_read_up_to_there_and_says_so(tmp_path: Path, name: str) -> None:
    """OpenCV gives none of the pictures that it decodes at once where one of them is damaged."""
    path = tmp_path / name
    noise = np.random.default_rng(0).integers(0, 255, (6, 48, 64, 3), np.uint8)
    first, *others = map(pytest.importorskip("PIL.Image").fromarray, noise)
    first.save(path, save_all=True, append_images=others, lossless=True)
    content = bytearray(path.read_bytes())
    fourth = [found.start() for found in re.finditer(b"ANMF|fdAT", content)][3]
    content[fourth + 100 : fourth + 900] = b"\x55" * 800
    path.write_bytes(content)
    with VideoReader(path) as reader:
        assert 1 < len(list(reader)) < len(DURATIONS_MS) and "damaged_part" in reader.caveats


@needs_animations
def test_an_animation_that_holds_more_pictures_than_it_says_is_not_seen_whole(tmp_path: Path) -> None:
    path = _write(tmp_path / "moving.png")
    content = path.read_bytes()
    at = content.index(b"acTL") + 4
    control = (2).to_bytes(4, "big") + content[at + 4 : at + 8]
    check = zlib.crc32(b"acTL" + control).to_bytes(4, "big")
    path.write_bytes(content[:at] + control + check + content[at + 12 :])
    with VideoReader(path) as reader:
        assert len(list(reader)) == 2 and "damaged_part" in reader.caveats


@needs_animations
def test_a_picture_before_an_animation_is_said(tmp_path: Path) -> None:
    """Viewers that show no animations show it alone."""
    path = _write(tmp_path / "moving.png")
    noise = np.random.default_rng(0).integers(0, 255, (3, 48, 64, 3), np.uint8)
    first, *others = map(pytest.importorskip("PIL.Image").fromarray, noise)
    first.save(path.with_name("hidden.png"), save_all=True, append_images=others, default_image=True)
    with VideoReader(path.with_name("hidden.png")) as reader:
        assert list(reader) and "more_tracks" in reader.caveats
    with VideoReader(path) as reader:
        assert list(reader) and "more_tracks" not in reader.caveats


@needs_animations
def test_pictures_of_a_gif_without_times_are_read(tmp_path: Path) -> None:
    """FFmpeg gives the first of them alone."""
    path = _write(tmp_path / "moving.gif", 4)
    path.write_bytes(re.sub(rb"\x21\xf9\x04.{4}\0", b"", path.read_bytes(), flags=re.DOTALL))
    with VideoReader(path) as reader:
        assert len(list(reader)) == 4 and not {"damaged_part", "more_tracks"} & {*reader.caveats}


@needs_animations
@pytest.mark.parametrize("name", ["moving.webp", "moving.png"])
def test_a_second_animation_behind_the_first_is_said(tmp_path: Path, name: str) -> None:
    path = _write(tmp_path / name)
    path.write_bytes(path.read_bytes() + _write(tmp_path / f"other_{name}", 3).read_bytes())
    with VideoReader(path) as reader:
        assert len(list(reader)) == len(DURATIONS_MS) and "more_tracks" in reader.caveats
