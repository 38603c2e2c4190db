"""The packets of a film, one behind the other -> whether some of them are missing. Nothing here decodes pictures.

FFmpeg passes over what is no packet without a word: a hole in a file shows as a gap in time, or not at all.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from tinydf_runtime.io.containers import matroska

LEAST_BYTES = 4096
"""Shorter holes are padding, or what a recorder appends to a film."""
_HEAD_BYTES = 27 + 255
_SYNC, _PACKETS_IN_A_ROW = 0x47, 4
_BLOCK_PACKETS = 1 << 16
_MOST_BREAKS = 64

Step = Callable[[bytes], int]
"""First bytes of a packet -> its length, or that of its header where its content is walked through; 0 for no packet."""


def has_hole(path: Path, cut_off: bool = False) -> bool:
    """Returns whether a stretch of an AVI, FLV, Matroska, MPEG or Ogg file holds nothing that belongs there.

    Args:
        path: The file.
        cut_off: Its end is missing, so that its last packet may reach beyond it.

    Raises:
        OSError: The file cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(16)
        for offset, length in ((0, 188), (4, 192), (0, 204)):
            if _is_transport(file, offset, length):
                return _transport_has_hole(file, size, offset, length)
        if start.startswith(b"FLV\x01"):
            return _chain_breaks(file, size, int.from_bytes(start[5:9], "big") + 4, _flv_tag, True)
        steps: dict[bytes, Step] = {
            b"RIFF": _avi_chunk,
            b"OggS": _ogg_page,
            matroska.EBML: matroska.element_length,
            b"\0\0\1\xba": _program_packet,
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


def _flv_tag(head: bytes) -> int:
    """Returns the length of an FLV tag and of the number behind it (Adobe Flash Video File Format 10.1, annex E)."""
    return 11 + int.from_bytes(head[1:4], "big") + 4 if head[0] & 0x1F in (8, 9, 18) else 0


def _ogg_page(head: bytes) -> int:
    """Returns an Ogg page's length (RFC 3533)."""
    if head[:4] != b"OggS" or len(head) < 27:
        return 0
    return 27 + head[26] + sum(head[27 : 27 + head[26]])


def _program_packet(head: bytes) -> int:
    """Returns the length of a pack header or packet of an MPEG program stream (ISO/IEC 11172-1, 13818-1)."""
    if head[:3] != b"\0\0\1" or head[3] < 0xB9:
        return 0
    if head[3] == 0xB9:
        return 4
    if head[3] == 0xBA:
        return 14 + (head[13] & 7) if head[4] >> 6 == 1 else 12
    return 6 + int.from_bytes(head[4:6], "big")


def _is_transport(file: BinaryIO, offset: int, length: int) -> bool:
    """Returns whether a file begins with packets of a transport stream, of that length."""
    file.seek(0)
    return file.read(_PACKETS_IN_A_ROW * length)[offset::length] == bytes([_SYNC]) * _PACKETS_IN_A_ROW


def _transport_has_hole(file: BinaryIO, size: int, offset: int, length: int) -> bool:
    """Returns whether more than ``LEAST_BYTES`` of a transport stream are no packets, which all begin alike."""
    at, lost, breaks = offset, 0, 0
    while at < size:
        file.seek(at)
        sync = np.frombuffer(file.read(_BLOCK_PACKETS * length), np.uint8)[::length] == _SYNC
        whole = len(sync) if sync.all() else int(np.argmin(sync))
        at += whole * length
        if whole == len(sync):
            continue
        file.seek(at)
        gap = _until_packets(file.read(LEAST_BYTES + _PACKETS_IN_A_ROW * length), length)
        at, lost, breaks = at + gap, lost + gap, breaks + 1
        if size - at <= length:
            break
        if lost > LEAST_BYTES or breaks > _MOST_BREAKS:
            return True
    return False


def _until_packets(content: bytes, length: int) -> int:
    """Returns how many bytes come before the next packets in a row, more than ``LEAST_BYTES`` where there are none."""
    sync = np.frombuffer(content, np.uint8) == _SYNC
    count = max(0, len(sync) - (_PACKETS_IN_A_ROW - 1) * length)
    rows = [sync[k * length : k * length + count] for k in range(_PACKETS_IN_A_ROW)]
    found = np.flatnonzero(np.logical_and.reduce(rows)) if count else np.zeros(0, np.int64)
    return int(found[0]) if len(found) else LEAST_BYTES + 1
