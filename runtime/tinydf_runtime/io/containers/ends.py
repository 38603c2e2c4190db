"""Files of cameras, studios and encoders -> whether they go on to their end. Nothing here decodes pictures."""

from __future__ import annotations

import struct
from typing import BinaryIO

ASF_START = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
MXF_START = bytes.fromhex("060e2b34020501010d0102010102")
JPEG_START, JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_DV_START, _DV_FRAME_BYTES = b"\x1f\x07\x00", {False: 120_000, True: 144_000}
_Y4M_START, _Y4M_FRAME = b"YUV4MPEG2 ", b"FRAME\n"
_IVF_START, _IVF_HEAD_BYTES, _IVF_FRAME_HEAD_BYTES = b"DKIF", 32, 12
_SEARCHED_BYTES = 1 << 18
_LAST_BYTES = 1 << 20
_MOST_FRAMES = 1 << 18
"""Two hours and a half of 30 frames a second."""


def says_it_is_longer(file: BinaryIO, size: int) -> bool:
    """Returns whether the headers of a Windows Media or MXF file tell of bytes that are not there."""
    file.seek(0)
    content = file.read(_SEARCHED_BYTES)
    if content.startswith(ASF_START):
        at = content.find(ASF_FILE_PROPERTIES)
        if at < 0 or len(content) < at + 92:
            return False
        (promised,), (flags,) = struct.unpack_from("<Q", content, at + 40), struct.unpack_from("<I", content, at + 88)
        # In a broadcast, which the lowest bit tells, the size means nothing.
        return not flags & 1 and int(promised) > size
    if content.startswith(MXF_START):
        # A key of 16 bytes and a length, of 1 byte or as many more as its low bits say (SMPTE ST 377-1, 7.1).
        head = 17 + (content[16] & 0x7F if content[16] & 0x80 else 0)
        (footer,) = struct.unpack_from(">Q", content, head + 24)
        return int(footer) >= size
    return False


def ends_within_a_picture(file: BinaryIO, size: int) -> bool:
    """Returns whether the last picture of a DV, Y4M, IVF or raw Motion JPEG file is not whole."""
    file.seek(0)
    start = file.read(_IVF_HEAD_BYTES)
    if start.startswith(_DV_START):
        return size % _DV_FRAME_BYTES[bool(start[3] & 0x80)] != 0
    if start.startswith(_IVF_START):
        return _ivf_end(file, size, int.from_bytes(start[6:8], "little")) != size
    if start.startswith(_Y4M_START):
        return _y4m_is_cut_off(file, size)
    if start.startswith(JPEG_START):
        file.seek(max(0, size - _LAST_BYTES))
        tail = file.read()
        return tail.rfind(JPEG_END) < max(0, tail.rfind(JPEG_START))
    return False


def _ivf_end(file: BinaryIO, size: int, at: int) -> int:
    """Returns where the frame ends that reaches the end of the file or beyond it; the end where there are too many."""
    for _ in range(_MOST_FRAMES):
        if at >= size:
            return at
        file.seek(at)
        head = file.read(_IVF_FRAME_HEAD_BYTES)
        if len(head) < _IVF_FRAME_HEAD_BYTES:
            return at + _IVF_FRAME_HEAD_BYTES
        at += _IVF_FRAME_HEAD_BYTES + int.from_bytes(head[:4], "little")
    return size


def _y4m_is_cut_off(file: BinaryIO, size: int) -> bool:
    """Returns whether what follows the header is no whole number of frames; False where that cannot be told."""
    file.seek(0)
    header, _, rest = file.read(_SEARCHED_BYTES).partition(b"\n")
    words = {word[:1]: word[1:].decode("latin-1") for word in header.split()[1:]}
    width, height, layout = int(words[b"W"]), int(words[b"H"]), words.get(b"C", "420")
    if width < 1 or height < 1 or not rest.startswith(_Y4M_FRAME):
        return False
    half = (width + 1) // 2
    sampled = {"420": half * ((height + 1) // 2), "422": half * height, "444": width * height, "mon": 0}.get(layout[:3])
    if sampled is None or "alpha" in layout:
        return False
    deep = layout.removeprefix("mono").partition("p")[2] or layout.removeprefix("mono")
    frame = (width * height + 2 * sampled) * (2 if deep in ("9", "10", "12", "14", "16") else 1)
    return (size - len(header) - 1) % (len(_Y4M_FRAME) + frame) != 0
