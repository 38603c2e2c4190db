"""Media whose headers promise what is not there: pictures of huge size, endless lists, parts that lead in circles."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from functools import partial

from fuzzing import bases
from fuzzing.case import UNREADABLE, Case

_SIZES = ((0, 0), (1, 1), (0xFFFF, 0xFFFF), (65500, 1), (20000, 20000), (0x7FFFFFFF, 0x7FFFFFFF), (1 << 31, 1))


def cases(seed: int) -> Iterator[Case]:
    """Yields files that consist of little more than a header."""
    for form, build in _PICTURES.items():
        for width, height in _SIZES:
            yield Case(f"size_{width:x}x{height:x}_{form}", "picture size", partial(build, width, height))
    for base, at, fields in (
        ("photo.bmp", 18, "<ii"),
        ("photo.qoi", 4, ">II"),
        ("photo.dds", 12, "<II"),
        ("photo.tga", 12, "<HH"),
    ):
        for size in _SIZES:
            resized = partial(_with_size, base, at, fields, size)
            yield Case(f"resized_{size[0]:x}x{size[1]:x}_{base}", "picture size in a whole file", resized)
    for name, make in _STRANGE.items():
        yield Case(name, "strange structure", make)
    for name, make in _NOTHING.items():
        yield Case(name, "no picture at all", make, codes=UNREADABLE)


def _with_size(base: str, at: int, form: str, size: tuple[int, int]) -> bytes:
    """Returns a picture of which the header alone says another size."""
    content = bytearray(bases.whole(base))
    most = 0xFFFF if "H" in form else 0xFFFFFFFF
    packed = [side & most for side in size]
    struct.pack_into(form.replace("i", "I"), content, at, *packed)
    return bytes(content)


def chunk(kind: bytes, content: bytes) -> bytes:
    """Returns a PNG chunk."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, rows: bytes = b"") -> bytes:
    """Returns a PNG of grey pixels with whatever rows are given."""
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    packed = zlib.compress(rows, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def gif(width: int, height: int, pictures: int = 1) -> bytes:
    """Returns a GIF whose pictures end at once."""
    size = struct.pack("<HH", width & 0xFFFF, height & 0xFFFF)
    palette = b"\0\0\0\xff\xff\xff"
    one = b"\x21\xf9\x04\0\0\0\0\0" + b"\x2c\0\0\0\0" + size + b"\0\x02\x02\x44\x01\0"
    return b"GIF89a" + size + b"\x80\0\0" + palette + one * pictures + b"\x3b"


def jpeg(width: int, height: int) -> bytes:
    """Returns a JPEG of three colours whose picture is missing."""
    whole = bytearray(bases.whole("photo.jpg"))
    at = whole.index(b"\xff\xc0") + 5
    struct.pack_into(">HH", whole, at, height & 0xFFFF, width & 0xFFFF)
    return bytes(whole)


def tiff(width: int, height: int, next_page: int = 0) -> bytes:
    """Returns a TIFF with one strip of no length, and where its next page is said to be."""
    entries = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    entries += [(273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, 0xFFFFFFF0)]
    rows = b"".join(struct.pack("<HHII", *(value & 0xFFFFFFFF for value in entry)) for entry in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + rows + struct.pack("<I", next_page)


def webp(width: int, height: int) -> bytes:
    """Returns a WebP that announces an animation and holds none."""
    sides = struct.pack("<I", width - 1 & 0xFFFFFF)[:3] + struct.pack("<I", height - 1 & 0xFFFFFF)[:3]
    body = b"VP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + sides + b"ANIM" + struct.pack("<I", 6) + bytes(6)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def _text(form: str) -> Callable[[int, int], bytes]:
    return lambda width, height: form.format(width=width, height=height).encode()


def _psd(width: int, height: int) -> bytes:
    return (
        b"8BPS\0\x01" + bytes(6) + struct.pack(">HIIHH", 3, height & 0xFFFFFFFF, width & 0xFFFFFFFF, 8, 3) + bytes(14)
    )


def _sun(width: int, height: int) -> bytes:
    return struct.pack(">8I", 0x59A66A95, width & 0xFFFFFFFF, height & 0xFFFFFFFF, 24, 0, 2, 0, 0) + bytes(64)


def _flv(width: int, height: int) -> bytes:
    """Returns an FLV of one H.263 key frame whose header says a size of its own."""
    bits = f"{1:017b}{0:05b}{0:08b}{1:03b}{width & 0xFFFF:016b}{height & 0xFFFF:016b}{0:02b}{0:1b}{8:05b}0"
    data = b"\x22" + int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")
    tag = b"\x09" + struct.pack(">I", len(data))[1:] + bytes(7) + data
    return b"FLV\x01\x01\0\0\0\x09\0\0\0\0" + tag + struct.pack(">I", len(tag))


_PICTURES: dict[str, Callable[[int, int], bytes]] = {
    "a.png": png,
    "a.gif": gif,
    "a.jpg": jpeg,
    "a.tif": tiff,
    "a.webp": webp,
    "a.psd": _psd,
    "a.ras": _sun,
    "a.flv": _flv,
    "a.ppm": _text("P6\n{width} {height}\n255\n"),
    "plain.pgm": _text("P2\n{width} {height}\n65535\n1 2 3"),
    "a.pam": _text("P7\nWIDTH {width}\nHEIGHT {height}\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n"),
    "a.pfm": _text("PF\n{width} {height}\n-1.0\n"),
    "a.hdr": _text("#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y {height} +X {width}\n"),
    "a.y4m": _text("YUV4MPEG2 W{width} H{height} F25:1 C420\nFRAME\n"),
}


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content


def _nested_boxes() -> bytes:
    content = b""
    for _ in range(3000):
        content = _box(b"moov", content)
    return _box(b"ftyp", b"isom\0\0\0\0isom") + content


_EBML_HEAD = b"\x1a\x45\xdf\xa3\x80"
_STRANGE: dict[str, Callable[[], bytes]] = {
    "nested.mp4": _nested_boxes,
    "many_boxes.mp4": lambda: _box(b"ftyp", b"isom\0\0\0\0isom") + _box(b"free", b"") * 400_000,
    "wide_box.mp4": lambda: _box(b"ftyp", b"isom\0\0\0\0isom") + b"\0\0\0\x01uuid" + b"\xff" * 8 + bytes(40),
    "many_elements.mkv": lambda: (
        _EBML_HEAD
        + b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff\x16\x54\xae\x6b\x10\x20\0\0"
        + b"\xec\x80" * 0x100000
    ),
    "endless.mkv": lambda: _EBML_HEAD + b"\x18\x53\x80\x67\x01" + b"\xff" * 7 + b"\xec\x80" * 200_000,
    "circle.tif": lambda: tiff(16, 16, next_page=8),
    "acTL.png": lambda: png(64, 64).replace(b"IDAT", b"acTL", 1),
    "loops.gif": lambda: gif(4, 4, pictures=60_000),
    "no_blocks.gif": lambda: b"GIF89a\x04\0\x04\0\0\0\0" + b"\x21\xff\0" * 400_000,
    "padding.jpg": lambda: b"\xff\xd8" + b"\xff" * 4_000_000 + b"\xd9",
    "segments.jpg": lambda: b"\xff\xd8" + b"\xff\xe0\0\x02" * 1_000_000 + b"\xff\xd9",
    "long_comment.jpg": lambda: b"\xff\xd8" + b"\xff\xfe\xff\xff" + bytes(0x10000) + b"\xff\xd9",
    "sync.ts": lambda: (b"\x47\x40\0\x30\xff" + bytes(183)) * 4000,
    "starts.mpg": lambda: b"\x00\x00\x01\xba" + b"\x00\x00\x01\xe0\0\0" * 60_000,
    "zeros.h264": lambda: b"\0\0\0\x01\x67\x64" + bytes(65_000) + b"\0\0\x01\x65",
    "pages.ogv": lambda: (b"OggS\0\x02" + bytes(20) + b"\x01\x09\x80theora\0\0") * 3000,
    "heads.avi": lambda: b"RIFF" + struct.pack("<I", 9 << 20) + b"AVI LIST" + b"strh\x38\0\0\0vids" * 20_000,
    "grid.heic": lambda: (
        _box(b"ftyp", b"heic\0\0\0\0mif1heic") + _box(b"meta", b"\0" * 4 + _box(b"iinf", b"\xff" * 60))
    ),
    "item.avif": lambda: _box(b"ftyp", b"avif\0\0\0\0mif1avif") + _box(b"meta", bytes(4) + _box(b"pitm", b"\xff" * 9)),
}
"""Structures that readers of their own might walk for ever, or climb down too far."""
_NOTHING: dict[str, Callable[[], bytes]] = {
    **{f"empty.{ending}": bytes for ending in ("mp4", "jpg", "gif", "mkv", "avi")},
    **{f"zeros.{ending}": lambda: bytes(100_000) for ending in ("mp4", "jpg", "png", "mkv", "avi", "heic", "mpg")},
    **{f"ones.{ending}": lambda: b"\xff" * 100_000 for ending in ("mp4", "jpg", "png", "mkv", "mpg")},
    **{f"one.{ending}": lambda: b"\0" for ending in ("mp4", "jpg", "webp", "tif")},
}
