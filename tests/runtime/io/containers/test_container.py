"""container.py over headers written here."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tinydf_runtime.io.containers.container import Container, read_container
from tinydf_runtime.types import Image


def _frames(count: int = 20) -> list[Image]:
    return [np.random.default_rng(number).integers(0, 255, (64, 64, 3)).astype(np.uint8) for number in range(count)]


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def _mp4(shown_ms: int, stored_ms: int, *, fragmented: bool = False, wide: bool = False) -> bytes:
    """An mp4 without pictures: its edit list shows ``shown_ms`` of ``stored_ms``, after an empty edit of 500 ms."""
    scale = struct.pack(">QQIQ", 0, 0, 1000, stored_ms) if wide else struct.pack(">IIII", 0, 0, 1000, stored_ms)
    header = bytes([wide, 0, 0, 0]) + scale + bytes(80)
    entry = ">Qqhh" if wide else ">Iihh"
    edits = b"".join(struct.pack(entry, *edit, 1, 0) for edit in ((500, -1), (shown_ms, stored_ms - shown_ms)))
    edit_list = bytes([wide, 0, 0, 0]) + struct.pack(">I", 2) + edits
    media = _box(b"mdhd", header) + _box(b"hdlr", bytes(8) + b"vide" + bytes(13))
    sound = _box(b"trak", _box(b"mdia", _box(b"mdhd", header) + _box(b"hdlr", bytes(8) + b"soun" + bytes(13))))
    track = _box(b"trak", _box(b"edts", _box(b"elst", edit_list)) + _box(b"mdia", media))
    whole = _box(b"ftyp", b"isom" + bytes(12)) + _box(b"moov", _box(b"mvhd", header) + sound + track)
    return whole + (_box(b"moof", b"") if fragmented else b"") + _box(b"mdat", bytes(1000))


def _read(tmp_path: Path, content: bytes) -> Container:
    path = tmp_path / "file"
    path.write_bytes(content)
    return read_container(path)


@pytest.mark.parametrize("wide", [False, True])
def test_edit_list_says_how_long_pictures_are_shown(tmp_path: Path, wide: bool) -> None:
    assert _read(tmp_path, _mp4(8000, 8000, wide=wide)) == Container(False, True, 8.0, videos=1, may_resize=False)
    # Trimmed without encoding again: more pictures are stored than shown, so their number promises nothing.
    assert _read(tmp_path, _mp4(6000, 8000, wide=wide)) == Container(False, False, 6.0, videos=1, may_resize=False)


def test_edits_that_show_pictures_twice_promise_no_number(tmp_path: Path) -> None:
    content = _mp4(8000, 8000)
    edits = b"".join(struct.pack(">Iihh", 8000, 0, 1, 0) for _ in range(3000))
    at = content.index(b"edts") - 4
    (length,) = struct.unpack_from(">I", content, at)
    listed = _box(b"edts", _box(b"elst", bytes(4) + struct.pack(">I", 3000) + edits))
    content = content[:at] + listed + content[at + length :]
    for kind in (b"trak", b"moov"):
        place = content.rindex(kind) - 4
        (before,) = struct.unpack_from(">I", content, place)
        content = content[:place] + struct.pack(">I", before + len(listed) - length) + content[place + 4 :]
    assert _read(tmp_path, content) == Container(False, False, 24_000.0, videos=1, may_resize=False)


def test_fragmented_mp4_lists_no_frames(tmp_path: Path) -> None:
    assert _read(tmp_path, _mp4(8000, 8000, fragmented=True)) == Container(videos=1)


def test_pictures_of_fragments_are_counted(tmp_path: Path) -> None:
    def fragment(track: int, count: int) -> bytes:
        header = _box(b"tfhd", bytes(4) + struct.pack(">I", track))
        runs = _box(b"trun", bytes(4) + struct.pack(">I", count)) * 2
        return _box(b"moof", _box(b"mfhd", bytes(8)) + _box(b"traf", header + runs))

    content = _mp4(8000, 8000)
    # The film is the last track of the index, and has no number of its own there yet.
    at = content.rindex(b"trak") - 4
    (length,) = struct.unpack_from(">I", content, at)
    track = _box(b"tkhd", bytes(12) + struct.pack(">I", 2) + bytes(68)) + content[at + 8 : at + length]
    index = content.index(b"moov") - 4
    (before,) = struct.unpack_from(">I", content, index)
    moov = content[index + 8 : at] + _box(b"trak", track) + content[at + length : index + before]
    whole = content[:index] + _box(b"moov", moov) + fragment(1, 70) + fragment(2, 50) + fragment(2, 100)
    assert _read(tmp_path, whole).least_pictures == 294


def test_64_bit_and_open_ended_boxes_are_walked(tmp_path: Path) -> None:
    content = _mp4(8000, 8000)
    at = content.index(b"mdat") - 4
    assert not _read(tmp_path, content[:at] + struct.pack(">I4s", 0, b"mdat") + bytes(99)).cut_off
    large = struct.pack(">I4sQ", 1, b"mdat", 16 + 5000)
    assert not _read(tmp_path, content[:at] + large + bytes(5000)).cut_off
    assert _read(tmp_path, content[:at] + large + bytes(4999)).cut_off


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mov", "clip.mkv", "clip.webm", "clip.avi"])
def test_whole_files_are_told_from_those_cut_anywhere(
    tmp_path: Path, write_video: Callable[..., Path], name: str
) -> None:
    content = write_video(_frames(), name).read_bytes()
    assert not _read(tmp_path, content).cut_off
    for keep in (0.2, 0.5, 0.99):
        assert _read(tmp_path, content[: int(len(content) * keep)]).cut_off


def test_matroska_of_unknown_length_is_not_called_cut(tmp_path: Path, write_video: Callable[..., Path]) -> None:
    content = write_video(_frames(), "clip.mkv").read_bytes()
    at = content.index(b"\x18\x53\x80\x67") + 4
    live = content[:at] + b"\x01" + b"\xff" * 7 + content[at + 8 :]
    assert not _read(tmp_path, live[: len(live) // 2]).cut_off


def test_anything_else_says_nothing_and_does_no_harm(tmp_path: Path, write_video: Callable[..., Path]) -> None:
    random = np.random.default_rng(0)
    for content in (b"", b"short", b"text\n" * 50, b"\x1a\x45\xdf\xa3", b"\x1a\x45\xdf\xa3" + bytes(50)):
        assert _read(tmp_path, content) == Container()
    whole = _mp4(8000, 8000)
    for _ in range(300):
        damaged = bytearray(whole)
        for place in random.integers(0, len(whole) - 1000, 4):
            damaged[place] = random.integers(256)
        _read(tmp_path, bytes(damaged))
    for length in range(0, len(whole), 7):
        _read(tmp_path, whole[:length])


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"RIFF\0\0\0\0WAVEfmt ", "WAV"),
        (b"ID3\4\0\0\0\0\0\0\0\0", "MP3"),
        (b"fLaC\0\0\0\x22\0\0\0\0", "FLAC"),
        (b"OggS\0\2\0\0\0\0\0\0", "Ogg"),
    ],
)
def test_sound_files_are_named(tmp_path: Path, start: bytes, name: str) -> None:
    assert _read(tmp_path, start + bytes(100)).sounds == (name,)


def test_sounds_beside_the_pictures_are_listed(tmp_path: Path) -> None:
    entry = _box(b"stsd", bytes(4) + struct.pack(">I", 1) + _box(b"mp4a", bytes(28)))
    media = _box(b"hdlr", bytes(8) + b"soun" + bytes(13)) + _box(b"minf", _box(b"stbl", entry))
    content = _box(b"ftyp", b"isom" + bytes(12)) + _box(b"moov", _box(b"trak", _box(b"mdia", media)))
    assert _read(tmp_path, content).sounds == ("mp4a",)


def test_transport_packets_are_joined_before_looking_for_h264(tmp_path: Path) -> None:
    assert not _read(tmp_path, (b"G" + bytes(187)) * 5).may_interlace
    mpeg2 = bytes([0x47, 0x40, 0, 0x30, 3, 0, 0, 0]) + b"\x00\x00"
    first = mpeg2 + bytes(188 - len(mpeg2) - 2) + b"\x00\x00"
    second = bytes([0x47, 0, 0, 0x10]) + b"\x01\xb3" + bytes(182)
    assert _read(tmp_path, first + second + second).may_interlace
