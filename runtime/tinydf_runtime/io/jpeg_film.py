"""Motion JPEG without a container, or as private data of a transport stream -> its pictures, which FFmpeg misses."""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from tinydf_runtime.io.containers.container import plain_packets
from tinydf_runtime.io.opencv import quiet
from tinydf_runtime.types import Image

_MOST_BYTES = 1 << 29
"""Of a file, which is held in memory."""
_PACKET = 188
_PACKET_START, _JPEG_START = b"\0\0\1", b"\xff\xd8\xff"
_CLOCK_HZ = 90_000
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of ITU-T T.81, table B.1, after which a picture's size stands."""


@dataclass(frozen=True, slots=True)
class PrivateJpegs:
    """Pictures of a transport stream.

    Attributes:
        content: JPEG files, one behind the other.
        fps: Pictures a second, None where their times do not say.
    """

    content: bytes
    fps: float | None


def read_private_jpegs(path: Path) -> PrivateJpegs | None:
    """Returns the JPEG pictures in the first stream of a transport stream that holds some, None where none does.

    Raises:
        OSError: The file cannot be read.
    """
    if path.stat().st_size > _MOST_BYTES:
        return None
    packets = plain_packets(path.read_bytes())
    wanted, parts, times = -1, [], []
    for stream, begins, payload in _payloads(packets):
        if begins and payload.startswith(_PACKET_START) and len(payload) > 9:
            picture = payload[9 + payload[8] :]
            if wanted < 0 and picture.startswith(_JPEG_START):
                wanted = stream
            if stream == wanted:
                parts.append(picture)
                times += [_time_stamp(payload)] if payload[7] & 0x80 and len(payload) > 14 else []
        elif stream == wanted and not begins:
            parts.append(payload)
    if not parts:
        return None
    lasting = (max(times) - min(times)) / _CLOCK_HZ if times else 0.0
    return PrivateJpegs(b"".join(parts), (len(times) - 1) / lasting if lasting > 0 else None)


def _payloads(packets: bytes) -> Iterator[tuple[int, bool, bytes]]:
    """Yields stream id, payload start flag and payload of each packet (ISO/IEC 13818-1)."""
    for at in range(0, len(packets) - _PACKET + 1, _PACKET):
        packet = packets[at : at + _PACKET]
        if packet[0] == 0x47 and packet[3] & 0x10:
            start = 5 + packet[4] if packet[3] & 0x20 else 4
            yield (packet[1] & 0x1F) << 8 | packet[2], bool(packet[1] & 0x40), packet[start:]


def _time_stamp(header: bytes) -> int:
    """Returns when a picture is shown, in ticks of 90 kHz, from the header before it."""
    first, second, third = header[9], int.from_bytes(header[10:12], "big"), int.from_bytes(header[12:14], "big")
    return (first >> 1 & 7) << 30 | (second >> 1) << 15 | third >> 1


FPS = 25.0
"""Frame rate that players assume."""
_START, _END = b"\xff\xd8\xff", b"\xff\xd9"
_HOLE = bytes(512)
_SCAN = b"\xff\xda"
_COEFFICIENTS, _MOST_COMPONENTS, _MOST_SCANS = 64, 4, 4096
_PROGRESSIVE = (b"\xff\xc2", b"\xff\xca")
"""Frame headers of pictures that grow finer from scan to scan, by Huffman and by arithmetic coding."""
_HUFFMAN_CODED = frozenset({0xC0, 0xC1, 0xC2})
_MORE_DATA = bytes(range(1, 255)) * 16
_FILL = re.compile(rb"\xff+(?=\xff)")
_PADDING_BYTES = 64
_MOST_SEGMENTS = 4096
"""Before a picture's coded data. Photos have some dozens; colour profiles are split into at most 255."""
_SEARCHED_BYTES = 64 << 20
"""Bytes in which a video must show its first pictures."""
_LEAST_PICTURES = 3
"""Phones append a second picture to a photo: a preview or a gain map."""


class JpegCapture:
    """Reads Motion JPEG with the interface of ``cv2.VideoCapture``."""

    def __init__(self, path: Path, pictures: PrivateJpegs | None = None) -> None:
        """Opens the file.

        Args:
            path: The file.
            pictures: Those found inside another container; None if the file holds nothing but JPEGs.
        """
        self._fps = FPS if pictures is None or pictures.fps is None else pictures.fps
        self._content: bytes | mmap.mmap
        if pictures is None:
            with path.open("rb") as file:
                self._content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        else:
            self._content = pictures.content
        self._end = 0
        self._index = -1
        self._start = 0
        image = self._decode(*next_jpeg(self._content, 0))
        self._height, self._width = (0, 0) if image is None else image.shape[:2]

    def isOpened(self) -> bool:  # noqa: N802
        """Returns whether the first picture can be decoded."""
        return bool(self._width)

    def grab(self) -> bool:
        """Finds the next picture; False at the end."""
        self._start, self._end = next_jpeg(self._content, self._end)
        self._index += 1
        return self._start < self._end

    def retrieve(self) -> tuple[bool, Image | None]:
        """Returns True and the picture, H x W x 3, BGR, uint8; (False, None) for a damaged one."""
        image = self._decode(self._start, self._end)
        return image is not None, image

    def get(self, which: int) -> float:
        """Returns what ``cv2.VideoCapture.get`` would, 0 where not known."""
        facts = {
            cv2.CAP_PROP_FRAME_WIDTH: float(self._width),
            cv2.CAP_PROP_FRAME_HEIGHT: float(self._height),
            cv2.CAP_PROP_FPS: self._fps,
            cv2.CAP_PROP_POS_MSEC: self._index * 1000 / self._fps,
        }
        return facts.get(which, 0.0)

    def set(self, which: int, value: float) -> bool:
        """Returns False: nothing can be set."""
        return False

    def release(self) -> None:
        """Closes the file."""
        if isinstance(self._content, mmap.mmap):
            self._content.close()

    def _decode(self, start: int, end: int) -> Image | None:
        """Returns the picture at a place, None where it is damaged."""
        if start >= end:
            return None
        try:
            with quiet():
                picture = np.frombuffer(self._content[start:end], np.uint8)
                image = cv2.imdecode(picture, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        except cv2.error:
            return None
        return None if image is None else np.asarray(image, np.uint8)


def is_jpeg_film(path: Path) -> bool:
    """Returns whether a file is nothing but JPEG pictures, more than a photo is made of.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        if file.read(3) != _START:
            return False
        # Not memory-mapped: truncating the file meanwhile would kill the process.
        content = _START + file.read(_SEARCHED_BYTES)
    at = 0
    for _ in range(_LEAST_PICTURES):
        start, end = next_jpeg(content, at)
        if start >= end or start - at > _PADDING_BYTES:
            return False
        at = end
    return True


def next_jpeg(content: bytes | mmap.mmap, at: int) -> tuple[int, int]:
    """Returns where the next picture from a place on starts and ends; twice the same where none is there or whole."""
    start = content.find(_START, at)
    if start < 0:
        return at, at
    end = jpeg_end(content, start)
    return (start, end) if end is not None else (len(content), len(content))


def jpeg_end(content: bytes | mmap.mmap, start: int) -> int | None:
    """Returns where the picture that starts at a place ends, None where its end is missing."""
    end = content.find(_END, _scan_start(content, start))
    return end + 2 if end >= 0 else None


def jpeg_has_hole(content: bytes, start: int = 0) -> bool:
    """Returns whether a part of a picture's coded data was lost and filled with zeros, as broken copies have it.

    No code gives zeros for as long. Some cameras pad the end with them, which is none.
    """
    scan = _scan_start(content, start)
    end = content.find(_END, scan)
    hole = content.find(_HOLE, scan, end)
    return hole >= 0 and bool(content[hole:end].lstrip(b"\0"))


def lacks_scans(content: bytes) -> bool:
    """Returns whether a progressive JPEG never gives its finest detail: scans are missing, and the picture is blurred.

    Each scan brings some coefficients of some components, or one more bit of them (ITU-T T.81, G.1.1.1).
    """
    if not any(content[at : at + 2] in _PROGRESSIVE for at in _segments(content, 0)):
        return False
    end, (_, _, components) = jpeg_end(content, 0), jpeg_size(content, 0)
    if end is None:
        return False
    # Component and coefficient -> bits that are still to come.
    left: dict[tuple[int, int], int] = {}
    at = _scan_start(content, 0) - len(_SCAN)
    for _ in range(_MOST_SCANS):
        at = content.find(_SCAN, at + len(_SCAN), end)
        if at < 0:
            break
        count = content[at + 4] if at + 4 < end else 0
        header = content[at + 5 : min(at + 8 + 2 * count, end)]
        if not 1 <= count <= _MOST_COMPONENTS or len(header) < 2 * count + 3:
            continue
        first, last, bits = header[2 * count :]
        for key in ((component, number) for component in header[: 2 * count : 2] for number in range(first, last + 1)):
            # One that goes on where none ended shows nothing.
            if key[1] < _COEFFICIENTS and (not bits >> 4 or left.get(key) == bits >> 4):
                left[key] = bits & 15
    return sum(not bits for bits in left.values()) < _COEFFICIENTS * components


def with_more_data(content: bytes) -> bytes:
    """Returns a JPEG with further coded bytes before its end, which a decoder passes over where nothing is missing.

    Empty where that shows nothing: an arithmetic coder leaves out zeros at the end (ITU-T T.81, D.1.8).
    """
    end = jpeg_end(content, 0)
    codings = {content[place + 1] for place in _segments(content, 0) if content[place : place + 1] == b"\xff"}
    if end is None or not codings & _HUFFMAN_CODED:
        return b""
    return content[: end - len(_END)] + _MORE_DATA + _END


def jpeg_size(content: bytes, start: int) -> tuple[int, int, int]:
    """Returns height, width and number of components of the picture that starts at a place, zeros where it has none."""
    for place in _segments(content, start):
        if place + 10 <= len(content) and content[place] == 0xFF and content[place + 1] in _FRAME_HEADERS:
            height, width = (int.from_bytes(content[place + at : place + at + 2], "big") for at in (5, 7))
            return height, width, content[place + 9]
    return 0, 0, 0


def _scan_start(content: bytes | mmap.mmap, start: int) -> int:
    """Returns where the coded data of the picture that starts at a place begins."""
    *_, place = _segments(content, start)
    return place


def _segments(content: bytes | mmap.mmap, start: int) -> Iterator[int]:
    """Yields the places of the segments of the picture that starts at a place, and where its coded data begins."""
    # Segments tell their lengths, and may hold whole pictures; the coded data that follows them does not.
    place = start + 2
    for _ in range(_MOST_SEGMENTS):
        # Any number of fill bytes may come before a marker (ITU-T T.81, B.1.1.2).
        if (fill := _FILL.match(content, place)) is not None:
            place = fill.end()
        yield place
        if place + 4 > len(content) or content[place] != 0xFF or content[place + 1] == 0xDA:
            return
        place += 2 + int.from_bytes(content[place + 2 : place + 4], "big")
    yield place
