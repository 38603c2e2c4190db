"""Matroska and WebM elements (RFC 8794, RFC 9559) -> where the file should end, colour and sounds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

from tinydf_runtime.io.containers.h264 import may_interlace

EBML = b"\x1a\x45\xdf\xa3"
_SEGMENT, _TRACKS, _CLUSTER = b"\x18\x53\x80\x67", b"\x16\x54\xae\x6b", b"\x1f\x43\xb6\x75"
_TRACK, _TRACK_TYPE, _CODEC, _CODEC_HEADER = b"\xae", b"\x83", b"\x86", b"\x63\xa2"
_ENCODINGS, _ENCRYPTION = b"\x6d\x80", b"\x50\x35"
_VIDEO, _INTERLACED, _COLOUR, _TRANSFER = b"\xe0", b"\x9a", b"\x55\xb0", b"\x55\xba"
_VIDEO_TYPE, _SOUND_TYPE = 1, 2
_WALKED = frozenset({_SEGMENT, _CLUSTER})
_PASSED = frozenset(
    bytes.fromhex(name)
    for name in (
        *("1a45dfa3", "114d9b74", "1549a966", "1654ae6b", "1c53bb6b", "1254c367", "1941a469", "1043a770"),
        *("ec", "bf", "e7", "a7", "ab", "a3", "a0", "af", "5854"),
    )
)
"""Every other child of a file, a Segment and a Cluster."""
_LARGEST_TRACKS_BYTES = 16 << 20
_WIDEST_SIZE = 9
_MOST_ELEMENTS = 64
"""Tracks come first in every file that players can start before its end; no need to walk through all clusters."""


@dataclass(frozen=True, slots=True)
class Headers:
    """What the elements say.

    Attributes:
        end: Where the Segment says it ends in the file, 0 if it does not say.
        transfer: See ``Container``.
        sounds: See ``Container``.
        may_interlace: See ``Container``.
        videos: Video tracks, None where the tracks were not found.
        encrypted: See ``Container``.
    """

    end: int = 0
    transfer: int | None = None
    sounds: tuple[str, ...] = ()
    may_interlace: bool = False
    videos: int | None = None
    encrypted: bool = False


def read_headers(file: BinaryIO) -> Headers:
    """Reads the Segment's size and the tracks' headers of an open file.

    Raises:
        IndexError: An element is damaged.
    """
    file.seek(4)
    head = file.read(4096)
    length, width = _size(head)
    at = width + length
    if head[at : at + 4] != _SEGMENT:
        return Headers()
    length, width = _size(head[at + 4 :])
    first = 4 + at + 4 + width
    end = 0 if _is_unknown(length, width) else first + length
    return replace(_read_tracks(_find_tracks(file, first)), end=end)


def _find_tracks(file: BinaryIO, at: int) -> bytes:
    """Returns the content of the Tracks element among the Segment's first children, empty without one."""
    size = file.seek(0, os.SEEK_END)
    for _ in range(_MOST_ELEMENTS):
        # A place far beyond the end cannot even be sought.
        if at >= size:
            break
        file.seek(at)
        head = file.read(12)
        if len(head) < 5:
            break
        name_width = 9 - head[0].bit_length()
        name = head[:name_width]
        length, width = _size(head[name_width:])
        if name == _CLUSTER or _is_unknown(length, width):
            break
        at += name_width + width
        if name == _TRACKS and length <= _LARGEST_TRACKS_BYTES:
            file.seek(at)
            return file.read(length)
        at += length
    return b""


def _read_tracks(content: bytes) -> Headers:
    """Returns what a Tracks element says about the first video track and the sounds."""
    found: Headers | None = None
    sounds: list[str] = []
    videos = 0
    for name, entry in _elements(content):
        if name != _TRACK:
            continue
        track = dict(_elements(entry))
        kind = int.from_bytes(track.get(_TRACK_TYPE, b""), "big")
        codec = track.get(_CODEC, b"").decode("ascii", "replace").rstrip("\0")
        if kind == _SOUND_TYPE:
            sounds.append(codec)
        videos += kind == _VIDEO_TYPE
        if kind == _VIDEO_TYPE and found is None:
            video = dict(_elements(track.get(_VIDEO, b"")))
            colour = dict(_elements(video.get(_COLOUR, b"")))
            flagged = int.from_bytes(video.get(_INTERLACED, b""), "big") == 1
            found = Headers(
                transfer=int.from_bytes(colour[_TRANSFER], "big") if _TRANSFER in colour else None,
                may_interlace=flagged
                or (codec == "V_MPEG4/ISO/AVC" and may_interlace(track.get(_CODEC_HEADER, b"")))
                or codec == "V_MPEG2",
                encrypted=_ENCRYPTION in track.get(_ENCODINGS, b""),
            )
    return replace(found or Headers(), sounds=tuple(sounds), videos=videos if content else None)


def _elements(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yields name and content of the elements inside an element."""
    at = 0
    while at + 2 <= len(content):
        name_width = 9 - content[at].bit_length()
        name = content[at : at + name_width]
        length, width = _size(content[at + name_width : at + name_width + _WIDEST_SIZE])
        at += name_width + width
        yield name, content[at : at + length]
        at += length


def all_tracks(file: BinaryIO, size: int) -> Iterator[bytes]:
    """Yields the content of the Tracks element of every Segment: a file may hold several, one behind the other."""
    at = 0
    while at < size:
        file.seek(at)
        head = file.read(16)
        if len(head) < 12 or not (step := element_length(head)):
            return
        name_width = 9 - head[0].bit_length()
        length, width = _size(head[name_width:])
        if head[:4] == _TRACKS and length <= _LARGEST_TRACKS_BYTES:
            file.seek(at + name_width + width)
            yield file.read(length)
        if head[:4] == _CLUSTER and not _is_unknown(length, width):
            step = name_width + width + length
        at += step


def video_codecs(content: bytes) -> list[tuple[bytes, bytes]]:
    """Returns name and header of the codec of each video track in a Tracks element."""
    tracks = [dict(_elements(entry)) for name, entry in _elements(content) if name == _TRACK]
    return [
        (track.get(_CODEC, b""), track.get(_CODEC_HEADER, b""))
        for track in tracks
        if int.from_bytes(track.get(_TRACK_TYPE, b""), "big") == _VIDEO_TYPE
    ]


def element_length(head: bytes) -> int:
    """Returns the length of a child of a file, Segment or Cluster, of the last two that of the header; 0 for no such.

    Args:
        head: The first bytes, 12 or more.
    """
    width = 9 - head[0].bit_length()
    name, rest = head[:width], head[width:]
    if width > 4 or not rest or not rest[0] or name not in _WALKED | _PASSED:
        return 0
    length, taken = _size(rest)
    if name in _WALKED:
        return width + taken
    return 0 if _is_unknown(length, taken) else width + taken + length


def _size(content: bytes) -> tuple[int, int]:
    """Returns the value of an EBML variable-size integer and how many bytes it takes."""
    width = 9 - content[0].bit_length()
    return int.from_bytes(content[:width], "big") & ((1 << 7 * width) - 1), width


def _is_unknown(length: int, width: int) -> bool:
    """Returns whether a size is the one that stands for "until the next element of its kind"."""
    return length == (1 << 7 * width) - 1
