"""Video file -> what its own headers promise, so that a file that stops early is told from one that ends.

OpenCV gives a frame count alone, and for most containers guesses it from the duration. Nothing here decodes pictures.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_LARGEST_INDEX_BYTES = 256 << 20
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_MP4_STARTS = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide"}


@dataclass(frozen=True, slots=True)
class Container:
    """What is known of a video file without decoding it.

    Attributes:
        cut_off: The file holds fewer bytes than its headers say.
        lists_frames: Its index lists every picture and all are shown, so that a count taken from it is exact.
        duration_s: How long its pictures are shown, None where the headers do not say so for the pictures alone.
    """

    cut_off: bool = False
    lists_frames: bool = False
    duration_s: float | None = None


def read_container(path: Path) -> Container:
    """Reads the outermost headers of an MP4, QuickTime, Matroska, WebM or AVI file.

    Any other or damaged file gives a Container that knows nothing.

    Raises:
        OSError: The file cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(12)
        try:
            if start[4:8] in _MP4_STARTS:
                return _read_mp4(file, size)
            if start[:4] == _EBML:
                return Container(cut_off=_matroska_end(file) > size)
            if start[:4] == b"RIFF" and start[8:12] == b"AVI ":
                return Container(cut_off=8 + int.from_bytes(start[4:8], "little") > size)
        except (struct.error, IndexError, ZeroDivisionError):
            return Container()
    return Container()


def _read_mp4(file: BinaryIO, size: int) -> Container:
    """Walks the top-level boxes (ISO/IEC 14496-12) and reads the index of the pictures."""
    at, index = 0, b""
    fragmented = False
    while at + 8 <= size:
        file.seek(at)
        header = file.read(16)
        length = int.from_bytes(header[:4], "big")
        head = 8
        if length == 1:
            length, head = int.from_bytes(header[8:16], "big"), 16
        elif length == 0:
            length = size - at
        if length < head:
            break
        if header[4:8] == b"moov" and length <= _LARGEST_INDEX_BYTES:
            file.seek(at + head)
            index = file.read(length - head)
        fragmented = fragmented or header[4:8] == b"moof"
        at += length
    shown_s, stored_s = _picture_durations(index)
    if shown_s is None or stored_s is None or fragmented:
        return Container(cut_off=at > size)
    # An edit list that starts late hides pictures that were stored only because the shown ones need them.
    return Container(cut_off=at > size, lists_frames=shown_s >= 0.999 * stored_s, duration_s=shown_s)


def _picture_durations(index: bytes) -> tuple[float | None, float | None]:
    """Returns how long the first video track of a moov box is shown, and how long what it stores would last."""
    movie_scale = 0
    for kind, movie_box in _boxes(index):
        if kind == b"mvhd":
            movie_scale, _ = _scale_and_duration(movie_box)
        if kind != b"trak":
            continue
        track = dict(_boxes(movie_box))
        media = dict(_boxes(track.get(b"mdia", b"")))
        if media.get(b"hdlr", b"")[8:12] != b"vide":
            continue
        scale, duration = _scale_and_duration(media[b"mdhd"]) if b"mdhd" in media else (0, 0)
        if not scale or not duration:
            return None, None
        edits = dict(_boxes(track.get(b"edts", b""))).get(b"elst", b"")
        shown = _shown_duration(edits)
        return shown / movie_scale if shown else duration / scale, duration / scale
    return None, None


def _boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yields type and content of the boxes inside a box."""
    at = 0
    while at + 8 <= len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        if length < 8:
            return
        yield content[at + 4 : at + 8], content[at + 8 : at + length]
        at += length


def _scale_and_duration(header: bytes) -> tuple[int, int]:
    """Returns ticks a second and duration in ticks of an mvhd or mdhd box."""
    scale, duration = struct.unpack_from(">IQ", header, 20) if header[0] == 1 else struct.unpack_from(">II", header, 12)
    return scale, duration


def _shown_duration(edit_list: bytes) -> int:
    """Returns the duration of an elst box in ticks of the movie, without its empty edits; 0 without a list."""
    if not edit_list:
        return 0
    wide = edit_list[0] == 1
    (count,) = struct.unpack_from(">I", edit_list, 4)
    entry, step = (">Qq", 20) if wide else (">Ii", 12)
    entries = [struct.unpack_from(entry, edit_list, 8 + step * number) for number in range(min(count, 1000))]
    return sum(duration for duration, media_time in entries if media_time >= 0)


def _matroska_end(file: BinaryIO) -> int:
    """Returns where the Segment of a Matroska or WebM file (RFC 8794, RFC 9559) says it ends, 0 if it does not."""
    file.seek(4)
    head = file.read(4096)
    length, width = _ebml_size(head)
    at = width + length
    if head[at : at + 4] != _SEGMENT:
        return 0
    length, width = _ebml_size(head[at + 4 :])
    unknown = length == (1 << 7 * width) - 1
    return 0 if unknown else 4 + at + 4 + width + length


def _ebml_size(content: bytes) -> tuple[int, int]:
    """Returns the value of an EBML variable-size integer and how many bytes it takes."""
    width = 9 - content[0].bit_length()
    return int.from_bytes(content[:width], "big") & ((1 << 7 * width) - 1), width
