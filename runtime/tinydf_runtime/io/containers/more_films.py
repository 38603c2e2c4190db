"""Rarer containers -> how many films they hold. FFmpeg decodes one and does not tell of others.

Nothing here decodes pictures.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from tinydf_runtime.io.containers.ends import ASF_FILE_PROPERTIES, ASF_START
from tinydf_runtime.io.containers.packets import aligned_packets, map_videos, transport_layout

NUT_START = b"nut/multimedia container\0"
_ASF_STREAM = bytes.fromhex("9107dcb7b7a9cf118ee600c00c205365")
_ASF_VIDEO = bytes.fromhex("c0ef19bc4d5bcf11a8fd00805f5c442b")
_NUT_STREAM = bytes.fromhex("4e5311405bf2f9db")
_LONGEST_PLAIN_NUT_HEADER = 4096
_FIRST_VIDEO_ID, _LAST_VIDEO_ID = 0xE0, 0xEF


def asf_videos(file: BinaryIO, content: bytes) -> int | None:
    """Returns how many films a Windows Media file holds, None where its start does not say.

    Args:
        file: The file, open.
        content: Its start.
    """
    count = len(re.findall(re.escape(_ASF_STREAM) + b"........" + re.escape(_ASF_VIDEO), content, re.DOTALL))
    properties = content.find(ASF_FILE_PROPERTIES)
    if properties >= 0:
        # Another file may follow the end that the first one tells.
        file.seek(min(int.from_bytes(content[properties + 40 : properties + 48], "little"), 1 << 62))
        count += file.read(len(ASF_START)) == ASF_START
    return count or None


def nut_videos(content: bytes) -> int | None:
    """Returns how many video streams the start of a NUT file tells of, None where of none."""
    films = set()
    for found in re.finditer(re.escape(_NUT_STREAM), content):
        length, at = _nut_number(content, found.end())
        # A longer header has a checksum of its length.
        number, at = _nut_number(content, at + (4 if length > _LONGEST_PLAIN_NUT_HEADER else 0))
        kind, _ = _nut_number(content, at)
        films |= {number} if kind == 0 else set()
    return len(films) or None


def _nut_number(content: bytes, at: int) -> tuple[int, int]:
    """Returns a number, of 7 bits a byte until one without the highest, and where it ends."""
    value = 0
    for place, byte in enumerate(content[at : at + 9]):
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            return value, at + place + 1
    raise ValueError("a number without an end")


def transport_has_more(path: Path) -> bool:
    """Returns whether a transport stream (ISO/IEC 13818-1) holds several films, side by side or one after another.

    False for any other file. Programs have maps of their own, and what was recorded or joined may change its packet
    numbers or its codec midway; FFmpeg goes on with the first.

    Raises:
        OSError: The file cannot be read.
    """
    films: set[int] = set()
    codecs: dict[int, int] = {}
    with path.open("rb") as file:
        layout = transport_layout(file)
        for number, payload in _unit_starts(file, path.stat().st_size, *layout) if layout else ():
            if payload[:3] == b"\0\0\1":
                films |= {number} if _FIRST_VIDEO_ID <= payload[3] <= _LAST_VIDEO_ID else set()
            else:
                for listed, codec in (map_videos(payload[1 + payload[0] :]) or {}).items():
                    if codecs.setdefault(listed, codec) != codec:
                        return True
            if len(films) > 1:
                return True
    return False


def _unit_starts(file: BinaryIO, size: int, offset: int, length: int) -> Iterator[tuple[int, bytes]]:
    """Yields packet number and payload of every packet in which a picture, sound or table begins."""
    for block, _, _ in aligned_packets(file, size, offset, length):
        packets = block[: len(block) // length * length].reshape(-1, length)[:, :188]
        begins = (packets[:, 1] & 0x40 != 0) & (packets[:, 3] & 0x10 != 0)
        for packet in packets[begins]:
            content = packet.tobytes()
            payload = content[5 + content[4] if content[3] & 0x20 else 4 :]
            if len(payload) > 4:
                yield (content[1] & 0x1F) << 8 | content[2], payload
