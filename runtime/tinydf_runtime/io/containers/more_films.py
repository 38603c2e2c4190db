"""Rarer containers -> how many films they hold. FFmpeg decodes one and does not tell of others.

Nothing here decodes pictures.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from tinydf_runtime.io.containers import matroska
from tinydf_runtime.io.containers.ends import ASF_FILE_PROPERTIES, ASF_START
from tinydf_runtime.io.containers.packets import aligned_packets, flv_tag, map_videos, program_packet, transport_layout

NUT_START = b"nut/multimedia container\0"
_ASF_STREAM = bytes.fromhex("9107dcb7b7a9cf118ee600c00c205365")
_ASF_VIDEO = bytes.fromhex("c0ef19bc4d5bcf11a8fd00805f5c442b")
_NUT_STREAM = bytes.fromhex("4e5311405bf2f9db")
_LONGEST_PLAIN_NUT_HEADER = 4096
_FLV_VIDEO, _FLV_COMMAND = 9, 5
_FIRST_VIDEO_ID, _LAST_VIDEO_ID = 0xE0, 0xEF
_RAW_STARTS = re.compile(
    rb"\0{2,10}\x01(?:(?P<hevc>[\x40\x42\x46\x4e]\x01)|(?P<mpeg2>\xb3)"
    rb"|(?P<mpeg4>\xb0|[\0-\x1f]\0\0\x01[\x20-\x2f])|(?P<h264>[\x06\x07\x09\x27\x47\x67]))"
)
"""First unit of a stream without a container."""
_HEVC, _MPEG4, _H264_PARAMETERS = rb"[\x40\x42]\x01", rb"\xb0", rb"\x67[\x42\x4d\x58\x64\x6e\x7a\xf4]"
_OTHER_RAW = {
    name: re.compile(rb"\0\0\x01(?:%s)" % b"|".join(others), re.DOTALL)
    for name, others in {
        "hevc": (rb"[\x27\x47\x67]", rb"\xb3", _MPEG4),
        "h264": (_HEVC, rb"\xb3", _MPEG4),
        # Its slices may begin as the parameters of H.264 do, but only in pictures of more than 1600 lines.
        "mpeg2": (_HEVC, _MPEG4, _H264_PARAMETERS),
        # Its own groups of pictures begin as an MPEG-2 sequence does.
        "mpeg4": (_HEVC, rb"[\x47\x67]", rb"\xb8"),
    }.items()
}
"""Codec of a stream without a container -> units that it never has, and with which a stream of another begins."""
_SINGLE = {
    b"DKIF": re.compile(rb"DKIF\0\0\x20\0"),
    b"YUV4": re.compile(rb"YUV4MPEG2 [A-Z]\d"),
    b"SIMP": re.compile(rb"SIMPLE  = {20}T"),
    b"\xb7\xd8\0\x20": re.compile(re.escape(bytes.fromhex("b7d800203749da11a64e0007e95ead8d"))),
}
"""How IVF, Y4M, FITS and WTV files begin, each with one film -> that, in enough bytes that no picture holds it."""
_MOST_AVI_PARTS = 4096
"""Of a gigabyte each, as they are written."""
_FLASH_STARTS = frozenset({b"FWS", b"CWS"})
"""Of a Flash animation, plain and compressed by zlib; FFmpeg reads no other."""
_BLOCK_BYTES, _MOST_HEAD_BYTES = 1 << 20, 32
_LEAST_PACKET_BYTES, _PACKET_HEAD_BYTES = 12, 6
"""Of a program stream: what a packet has at least, and its start code and length, which come before the rest."""


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


def has_more_films(path: Path) -> bool:
    """Returns whether a stream, AVI, Flash or Matroska file goes on with another film than it begins with.

    A stream is one of transport or program packets, IVF, Y4M, or one without a container, as .h264 and .m2v files are.

    False for any other file, and for one that is damaged.

    Raises:
        OSError: The file cannot be read.
    """
    size = path.stat().st_size
    # What a damaged file says of itself decides nothing; the damage is told elsewhere.
    with path.open("rb") as file, suppress(LookupError, ValueError, zlib.error):
        if (layout := transport_layout(file)) is not None:
            return _transport_has_more(file, size, *layout)
        file.seek(0)
        start = file.read(12)
        if start.startswith(b"\0\0\1\xba"):
            return _program_has_more(file, size)
        if start.startswith(b"FLV\x01"):
            return _flv_has_more(file, size, int.from_bytes(start[5:9], "big") + 4)
        if start.startswith(b"RIFF") and start[8:] == b"AVI ":
            return _avi_has_more(file)
        if start[:3] in _FLASH_STARTS:
            return _swf_has_more(file, start)
        if start.startswith(matroska.EBML):
            films = map(matroska.video_codecs, matroska.all_tracks(file, size))
            first = next(films, None)
            return any(other != first for other in films)
        if (again := _SINGLE.get(start[:4])) is not None:
            return _occurs(file, again, len(start))
        file.seek(0)
        # A stream without a container that goes on in another codec, which its decoder skips.
        if (raw := _RAW_STARTS.match(file.read(_BLOCK_BYTES))) is not None:
            return _occurs(file, _OTHER_RAW[raw.lastgroup or ""], 0)
    return False


def _occurs(file: BinaryIO, wanted: re.Pattern[bytes], at: int) -> bool:
    """Returns whether bytes occur in a file from a place on; memory does not grow with it."""
    file.seek(at)
    before = b""
    while block := file.read(_BLOCK_BYTES):
        if wanted.search(before + block):
            return True
        before = block[-_MOST_HEAD_BYTES:]
    return False


def _transport_has_more(file: BinaryIO, size: int, offset: int, length: int) -> bool:
    """Returns whether a transport stream (ISO/IEC 13818-1) holds several films, side by side or one after another.

    Programs have maps of their own, and what was recorded or joined may change its packet numbers or its codec midway.
    """
    films: set[int] = set()
    codecs: dict[int, int] = {}
    for number, payload in _unit_starts(file, size, offset, length):
        if payload[:3] == b"\0\0\1":
            films |= {number} if _FIRST_VIDEO_ID <= payload[3] <= _LAST_VIDEO_ID else set()
        else:
            for listed, codec in (map_videos(payload[1 + payload[0] :]) or {}).items():
                if codecs.setdefault(listed, codec) != codec:
                    return True
        if len(films) > 1:
            return True
    return False


def _program_has_more(file: BinaryIO, size: int) -> bool:
    """Returns whether a program stream (ISO/IEC 13818-1) holds a second video stream, or one whose codec changes."""
    first, codec, at = -1, "", 0
    while at < size:
        file.seek(at)
        head = file.read(_MOST_HEAD_BYTES)
        if len(head) < _LEAST_PACKET_BYTES or not (length := program_packet(head)):
            break
        if _FIRST_VIDEO_ID <= head[3] <= _LAST_VIDEO_ID:
            if first not in (-1, head[3]):
                return True
            first = head[3]
            file.seek(at)
            content = file.read(length)[_PACKET_HEAD_BYTES:]
            if codec and _OTHER_RAW[codec].search(content):
                return True
            if not codec and (raw := _RAW_STARTS.search(content)) is not None:
                codec = raw.lastgroup or ""
        at += length
    return False


def _avi_has_more(file: BinaryIO) -> bool:
    """Returns whether another AVI file follows; a long one goes on in parts that say so (OpenDML 1.02, AVIX)."""
    at = 0
    for part in range(_MOST_AVI_PARTS):
        file.seek(at)
        head = file.read(12)
        if part and head.startswith(b"RIFF") and head[8:] == b"AVI ":
            return True
        length = int.from_bytes(head[4:8], "little")
        if len(head) < 12 or not length:
            break
        at += 8 + length + length % 2
    return False


def _swf_has_more(file: BinaryIO, start: bytes) -> bool:
    """Returns whether another Flash animation follows (SWF File Format 19, chapter 2)."""
    length = int.from_bytes(start[4:8], "little")
    if start.startswith(b"FWS"):
        file.seek(length)
        return length > len(start) and file.read(3) in _FLASH_STARTS
    file.seek(8)
    unpacked, left = zlib.decompressobj(), length
    while left > 0 and not unpacked.eof and (block := unpacked.unconsumed_tail or file.read(_BLOCK_BYTES)):
        left -= len(unpacked.decompress(block, _BLOCK_BYTES))
    return (unpacked.unused_data + file.read(3))[:3] in _FLASH_STARTS


def _flv_has_more(file: BinaryIO, size: int, at: int) -> bool:
    """Returns whether the codec changes (Adobe Flash Video File Format 10.1, E.4.3.1; Enhanced RTMP names it)."""
    codecs: set[bytes] = set()
    while at < size and len(codecs) < 2:
        file.seek(at)
        tag = file.read(16)
        if not (length := flv_tag(tag)):
            break
        at += length
        named = tag[11] & 0x80 if len(tag) == 16 else 0
        if tag[0] & 0x1F == _FLV_VIDEO and len(tag) == 16 and (tag[11] >> 4 & 7) != _FLV_COMMAND:
            codecs.add(tag[12:16] if named else bytes([tag[11] & 15]))
    return len(codecs) > 1


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
