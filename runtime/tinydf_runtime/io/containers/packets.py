"""AVI, FLV, Matroska, MPEG and Ogg packets -> the tracks that they announce, and whether packets are missing.

Nothing here decodes pictures. FFmpeg skips corrupt data silently: a hole in a file shows as a gap in time, or not at
all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from tinydf_runtime.io.containers import matroska

_OGG_VIDEO = (b"\x80theora", b"BBCD", b"OVP80", b"\x01video\0\0\0")
_OGG_SOUND = {b"\x01vorbis": "Vorbis", b"OpusHead": "Opus", b"\x7fFLAC": "FLAC", b"Speex   ": "Speex"}
_OGG_HEAD_BYTES = 27
_SYNCS = 8
"""Consecutive sync bytes that identify packets, as opposed to a chance match."""
_TS_VIDEO_TYPES = frozenset({0x01, 0x02, 0x10, 0x1B, 0x20, 0x21, 0x24, 0x33, 0xD1, 0xEA})
"""Stream types of ISO/IEC 13818-1, table 2-34, and those registered for AVS and VC-1, that are video."""


@dataclass(frozen=True, slots=True)
class Tracks:
    """The tracks that a file announces.

    Attributes:
        videos: Number of video tracks, None where the start does not say.
        sounds: Names of the formats of its sound tracks.
    """

    videos: int | None = None
    sounds: tuple[str, ...] = ()


def ogg_tracks(content: bytes) -> Tracks:
    """Returns what the first pages of an Ogg file (RFC 3533) announce: those of all tracks come before any other."""
    videos, sounds, at = 0, [], 0
    while content[at : at + 4] == b"OggS" and len(content) > at + _OGG_HEAD_BYTES and content[at + 5] & 2:
        count = content[at + 26]
        start = at + _OGG_HEAD_BYTES + count
        head = content[start : start + 8]
        videos += head.startswith(_OGG_VIDEO)
        sounds += [name for magic, name in _OGG_SOUND.items() if magic in content[start : start + 9]]
        at = start + sum(content[at + _OGG_HEAD_BYTES : start])
    return Tracks(videos if videos or sounds else None, tuple(sounds) or ("Ogg",))


def ogg_is_cut_off(tail: bytes) -> bool:
    """Returns whether the last page in the last bytes of an Ogg file is not whole."""
    at = tail.rfind(b"OggS")
    if at < 0 or len(tail) < at + _OGG_HEAD_BYTES:
        return at >= 0
    start = at + _OGG_HEAD_BYTES + tail[at + 26]
    return len(tail) < start + sum(tail[at + _OGG_HEAD_BYTES : start])


def transport_is_cut_off(tail: bytes, head: int, length: int) -> bool:
    """Returns whether a transport stream ends within a packet. Recorders and FFmpeg write whole ones, also at the end.

    Args:
        tail: Last bytes of the file.
        head: Bytes before each packet's first, see ``packet_layout``.
        length: Bytes from one packet to the next.
    """
    last = len(tail) - head - 1
    for at in range(last, max(last - len(tail), _SYNCS * length), -1):
        if all(tail[at + head - k * length] == 0x47 for k in range(_SYNCS)):
            return len(tail) - at < length
    return False


def avi_tracks(content: bytes) -> Tracks:
    """Returns what the stream headers of an AVI file say."""
    return Tracks(len(re.findall(rb"strh....vids", content, re.DOTALL)) or None)


def transport_tracks(packets: bytes) -> Tracks:
    """Returns what the program map of a transport stream lists: the largest, since programs repeat it.

    Args:
        packets: 188 bytes each, ISO/IEC 13818-1.
    """
    most = 0
    for at in range(0, len(packets) - 187, 188):
        packet = packets[at : at + 188]
        if packet[0] != 0x47 or not packet[1] & 0x40 or not packet[3] & 0x10:
            continue
        start = 5 + packet[4] if packet[3] & 0x20 else 4
        if start < 188 and (found := map_videos(packet[start + 1 + packet[start] :])) is not None:
            most = max(most, len(found))
    return Tracks(most or None)


def map_videos(section: bytes) -> dict[int, int] | None:
    """Returns the video streams of a program map section (table 2), packet number -> type, None for another section."""
    if len(section) < 16 or section[0] != 2 or section[1] & 0xF0 != 0xB0:
        return None
    end = min(len(section), 3 + ((section[1] & 15) << 8 | section[2]) - 4)
    at = 12 + ((section[10] & 15) << 8 | section[11])
    videos: dict[int, int] = {}
    while at + 5 <= end:
        if section[at] in _TS_VIDEO_TYPES:
            videos[(section[at + 1] & 0x1F) << 8 | section[at + 2]] = section[at]
        at += 5 + ((section[at + 3] & 15) << 8 | section[at + 4])
    return videos


def program_tracks(content: bytes) -> Tracks:
    """Returns how many different video streams the start of an MPEG program stream carries."""
    return Tracks(len(set(re.findall(rb"\x00\x00\x01([\xe0-\xef])", content))) or None)


LEAST_BYTES = 4096
"""Shorter gaps are padding, or trailers that recorders append."""
_HEAD_BYTES = 27 + 255
_SYNC, _PACKETS_IN_A_ROW = 0x47, 4
_BLOCK_PACKETS = 1 << 16
_MOST_BREAKS = 64
_FILLING = 0x1FFF

Step = Callable[[bytes], int]
"""First bytes of a packet -> its length, or that of its header where its content is walked through; 0 for no packet."""


def has_hole(path: Path, cut_off: bool = False) -> bool:
    """Returns whether packets are missing or overwritten in an AVI, FLV, Matroska, MPEG or Ogg file.

    Args:
        path: The file.
        cut_off: Its end is missing, so that its last packet may reach beyond it.

    Raises:
        OSError: The file cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(16)
        if (layout := transport_layout(file)) is not None:
            return _transport_has_hole(file, size, *layout)
        if start.startswith(b"FLV\x01"):
            return _chain_breaks(file, size, int.from_bytes(start[5:9], "big") + 4, flv_tag, True)
        steps: dict[bytes, Step] = {
            b"RIFF": _avi_chunk,
            b"OggS": _ogg_page,
            matroska.EBML: matroska.element_length,
            b"\0\0\1\xba": program_packet,
        }
        if start[:4] not in steps or (start[:4] == b"RIFF" and start[8:12] != b"AVI "):
            return False
        return _chain_breaks(file, size, 0, steps[start[:4]], cut_off)


def _chain_breaks(file: BinaryIO, size: int, first: int, step: Step, cut_off: bool) -> bool:
    """Returns whether packets end long before the file does, or, unless it is cut off, behind its end."""
    at = first
    while at < size:
        file.seek(at)
        head = file.read(_HEAD_BYTES)
        length = step(head) if len(head) >= 12 else 0
        if not length:
            return size - at > LEAST_BYTES
        at += length
    return at > size and not cut_off


def _avi_chunk(head: bytes) -> int:
    """Returns a RIFF chunk's length; the lists that hold the pictures are walked through."""
    name, length = head[:4], int.from_bytes(head[4:8], "little")
    if name == b"RIFF" or (name == b"LIST" and head[8:12] in (b"movi", b"rec ")):
        return 12
    return 8 + length + length % 2 if all(0x20 <= letter < 0x7F for letter in name) else 0


def flv_tag(head: bytes) -> int:
    """Returns the length of an FLV tag and of the number behind it (Adobe Flash Video File Format 10.1, annex E)."""
    return 11 + int.from_bytes(head[1:4], "big") + 4 if head[0] & 0x1F in (8, 9, 18) else 0


def _ogg_page(head: bytes) -> int:
    """Returns an Ogg page's length (RFC 3533)."""
    if head[:4] != b"OggS" or len(head) < 27:
        return 0
    return 27 + head[26] + sum(head[27 : 27 + head[26]])


def program_packet(head: bytes) -> int:
    """Returns the length of a pack header or packet of an MPEG program stream (ISO/IEC 11172-1, 13818-1)."""
    if head[:3] != b"\0\0\1" or head[3] < 0xB9:
        return 0
    if head[3] == 0xB9:
        return 4
    if head[3] == 0xBA:
        return 14 + (head[13] & 7) if head[4] >> 6 == 1 else 12
    return 6 + int.from_bytes(head[4:6], "big")


def transport_layout(file: BinaryIO) -> tuple[int, int] | None:
    """Returns where a transport stream's first packet begins, and the bytes from one to the next; None for another."""
    for offset, length in ((0, 188), (4, 192), (0, 204)):
        file.seek(0)
        if file.read(_PACKETS_IN_A_ROW * length)[offset::length] == bytes([_SYNC]) * _PACKETS_IN_A_ROW:
            return offset, length
    return None


def aligned_packets(
    file: BinaryIO, size: int, offset: int, length: int
) -> Iterator[tuple[NDArray[np.uint8], int, int]]:
    """Yields the packets of a transport stream that begin as they must, block by block.

    Yields:
        Their bytes, ``length`` from one to the next; how many bytes behind them are no packets, ``LEAST_BYTES`` + 1
        where no more were looked at; and where the next block begins.
    """
    at = offset
    while at < size:
        file.seek(at)
        block = np.frombuffer(file.read(_BLOCK_PACKETS * length), np.uint8)
        sync = block[::length] == _SYNC
        whole = len(sync) if sync.all() else int(np.argmin(sync))
        at += whole * length
        gap = 0
        if whole < len(sync):
            file.seek(at)
            gap = _until_packets(file.read(LEAST_BYTES + _PACKETS_IN_A_ROW * length), length)
            at += gap
        yield block[: whole * length], gap, at


def _transport_has_hole(file: BinaryIO, size: int, offset: int, length: int) -> bool:
    """Returns whether packets of a transport stream are lost, or more than ``LEAST_BYTES`` of it are no packets."""
    lost = breaks = 0
    last: dict[int, int] = {}
    for block, gap, at in aligned_packets(file, size, offset, length):
        if _skips_packets(block[: len(block) // length * length].reshape(-1, length), last):
            return True
        if gap:
            # Where bytes are none, their number is what counts.
            last.clear()
        lost, breaks = lost + gap, breaks + (gap > 0)
        if gap and size - at > length and (lost > LEAST_BYTES or breaks > _MOST_BREAKS):
            return True
    return False


def _skips_packets(packets: NDArray[np.uint8], last: dict[int, int]) -> bool:
    """Returns whether the counter of a stream leaps within a picture or sound (ISO/IEC 13818-1, 2.4.3.3).

    Where a new one begins, another recording may have been joined.

    Args:
        packets: One a row.
        last: Packet number -> counter of its last packet; those of these packets are put in.
    """
    numbers = (packets[:, 1] & 0x1F).astype(np.int32) << 8 | packets[:, 2]
    # Packets without content do not count, nor do those that fill up.
    counted = (packets[:, 3] & 0x10 != 0) & (numbers != _FILLING)
    for number in np.unique(numbers[counted]).tolist():
        rows = packets[counted & (numbers == number)]
        counters = (rows[:, 3] & 15).astype(np.int8)
        before = np.concatenate([[last.get(number, (int(counters[0]) - 1) % 16)], counters[:-1]])
        last[number] = int(counters[-1])
        # A packet may be sent twice.
        leaps = ~np.isin((counters - before) % 16, (0, 1)) & (rows[:, 1] & 0x40 == 0)
        if leaps.any():
            return True
    return False


def _until_packets(content: bytes, length: int) -> int:
    """Returns how many bytes come before the next packets in a row, more than ``LEAST_BYTES`` where there are none."""
    sync = np.frombuffer(content, np.uint8) == _SYNC
    count = max(0, len(sync) - (_PACKETS_IN_A_ROW - 1) * length)
    rows = [sync[k * length : k * length + count] for k in range(_PACKETS_IN_A_ROW)]
    found = np.flatnonzero(np.logical_and.reduce(rows)) if count else np.zeros(0, np.int64)
    return int(found[0]) if len(found) else LEAST_BYTES + 1
