"""Content of an image file -> whether another picture follows the one that decoders give. Nothing here decodes.

Cameras and converters that write a file a picture may write them all into one; viewers show the first.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import Literal

PNG_START, PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
"""First bytes of a PNG, and name and checksum of its last chunk."""
_ENDS: dict[str, tuple[bytes, bytes]] = {
    "PNG": (PNG_START, PNG_END),
    "QOI": (b"qoif", bytes(7) + b"\1"),
    # What is coded between the two never holds the second (ITU-T T.800, B.10.1).
    "JPEG 2000": (b"\xff\x4f\xff\x51", b"\xff\xd9"),
}
"""Format -> how a picture begins, and how it ends."""
_STARTS: dict[str, re.Pattern[bytes]] = {
    name: re.compile(pattern, re.DOTALL)
    for name, pattern in {
        "GIF": rb"GIF8[79]a",
        "WebP": rb"RIFF....WEBPVP8",
        "AVIF": rb"ftypavi[fs]",
        "HEIC": rb"ftyp(hei[cxms]|hev[cx]|mif1|msf1)",
        "Photoshop": rb"8BPS\0\x01\0{6}",
        "DDS": rb"DDS \x7c\0\0\0",
        "DPX": rb"(SDPX|XPDS)....[Vv]\d\.\d\0",
        "OpenEXR": rb"v/1\x01\x02[\0-\x1f]\0\0",
        "Radiance HDR": rb"#\?(RADIANCE|RGBE)\n",
        "Sun raster": rb"\x59\xa6\x6a\x95.{8}\0\0\0[\x01\x08\x18\x20]",
        # Version, run lengths, bits; then corners and palette, a byte that is 0, and planes.
        "PCX": rb"\x0a[\0\2-\5]\x01[\1\2\4\x08].{60}\0[\1\3\4]",
    }.items()
}
"""Format -> how a picture begins, in enough bytes that chance does not bring them about."""
_NETPBM_HEAD_BYTES = 4096
_NETPBM_START = re.compile(rb"\s*P[1-7Ff]\s")
_PLAIN_START = re.compile(rb"^P[1-6]\s", re.MULTILINE)
_COMMENT = re.compile(rb"#[^\n]*")
_COLOURS = {b"P6": 3, b"PF": 3}
_TARGA_FOOTER = b"TRUEVISION-XFILE.\0"
_TARGA_KINDS, _TARGA_RUN_KINDS = frozenset({1, 2, 3}), frozenset({9, 10, 11})
_TARGA_DEPTHS = frozenset({8, 15, 16, 24, 32})
_MOST_TARGA_RUNS = 1 << 21
_TIFF_START = re.compile(rb"II[*+]\0|MM\0[*+]")
_TIFF_PICTURE_TAGS = ({256, 257, 273}, {256, 257, 324})
"""Tags that a picture's directory has: width, height, and where strips or tiles are (TIFF 6.0, sections 8 and 15)."""
_MOST_TIFF_TAGS, _MOST_TIFF_STARTS = 4096, 256


def goes_on(content: bytes, form: str) -> bool:
    """Returns whether an image file of a format holds another picture of it behind the first.

    Of a TIFF it is another file that follows: its own pages are read, as are the pictures of a JPEG, False for which.

    Args:
        content: Of the file.
        form: Name of the format, see ``PictureFormat``.
    """
    if form == "PNG" and 0 <= content.find(b"IDAT") < content.find(b"fcTL"):
        # A picture before the animation, for viewers that show none.
        return True
    if form in _ENDS:
        start, end = _ENDS[form]
        first = content.find(start)
        last = content.find(end, first)
        return min(first, last) >= 0 and content.find(start, last) >= 0
    if form in _STARTS:
        first_found = _STARTS[form].search(content)
        return first_found is not None and _STARTS[form].search(content, first_found.end()) is not None
    if form == "BMP":
        end_at = int.from_bytes(content[2:6], "little")
        return end_at > len(b"BM") and content[end_at : end_at + 2] == b"BM"
    if form == "Targa":
        return _targa_goes_on(content)
    if form == "TIFF":
        starts = islice(_TIFF_START.finditer(content, 4), _MOST_TIFF_STARTS)
        return any(_is_tiff(content, found.start()) for found in starts)
    return form == "Netpbm" and _netpbm_goes_on(content)


def _netpbm_goes_on(content: bytes) -> bool:
    """Returns the same for a picture of Netpbm, which tells its size and not its end."""
    kind = content[:2]
    if kind in (b"P1", b"P2", b"P3"):
        # Numbers and comments alone follow.
        return _PLAIN_START.search(content, 3) is not None
    try:
        end = _pam_end(content) if kind == b"P7" else _plain_end(content, kind)
    except (ValueError, IndexError):
        return False
    return _NETPBM_START.match(content, end) is not None


def _plain_end(content: bytes, kind: bytes) -> int:
    """Returns where a PBM, PGM, PPM or PFM picture in bytes ends.

    Raises:
        ValueError, IndexError: Its header is none.
    """
    # A comment becomes as many spaces, so that every place stays what it is.
    head = _COMMENT.sub(lambda found: b" " * len(found[0]), content[:_NETPBM_HEAD_BYTES])
    words = list(re.finditer(rb"\S+", head))[1 : 3 if kind == b"P4" else 4]
    width, height = int(words[0][0]), int(words[1][0])
    start = words[-1].end() + 1
    if kind == b"P4":
        return start + (width + 7) // 8 * height
    depth = 4 if kind in (b"PF", b"Pf") else 2 if int(words[2][0]) > 0xFF else 1
    return start + width * height * _COLOURS.get(kind, 1) * depth


def _pam_end(content: bytes) -> int:
    """Returns where a PAM picture ends.

    Raises:
        ValueError, IndexError: Its header is none.
    """
    start = content.index(b"\nENDHDR\n", 0, _NETPBM_HEAD_BYTES) + len(b"\nENDHDR\n")
    lines = (line.split() for line in content[:start].splitlines())
    facts = {line[0]: int(line[1]) for line in lines if len(line) == 2 and line[1].isdigit()}
    sides = [facts.get(name, 0) for name in (b"WIDTH", b"HEIGHT", b"DEPTH")]
    return start + sides[0] * sides[1] * sides[2] * (2 if facts.get(b"MAXVAL", 0) > 0xFF else 1)


def _targa_goes_on(content: bytes) -> bool:
    """Returns whether a Targa picture (Truevision TGA 2.0) follows another; it has no first bytes of its own."""
    footer = content.find(_TARGA_FOOTER)
    ends = (_targa_end(content, 0), footer + len(_TARGA_FOOTER) if footer >= 0 else None)
    return any(end is not None and _targa_end(content, end) is not None for end in ends)


def _targa_end(content: bytes, start: int) -> int | None:
    """Returns where the data of the Targa picture at a place ends, None where none is there or whole."""
    head = content[start : start + 18]
    if len(head) < 18 or head[1] > 1 or head[16] not in _TARGA_DEPTHS:
        return None
    width, height = int.from_bytes(head[12:14], "little"), int.from_bytes(head[14:16], "little")
    palette_bytes = int.from_bytes(head[5:7], "little") * ((head[7] + 7) // 8) if head[1] else 0
    at, pixel_bytes, pixels = start + 18 + head[0] + palette_bytes, (head[16] + 7) // 8, width * height
    if head[2] in _TARGA_KINDS:
        at += pixels * pixel_bytes
    elif head[2] in _TARGA_RUN_KINDS:
        for _ in range(_MOST_TARGA_RUNS):
            if pixels <= 0 or at >= len(content):
                break
            # A run of one value, or so many values.
            count = (content[at] & 0x7F) + 1
            at += 1 + pixel_bytes * (1 if content[at] & 0x80 else count)
            pixels -= count
        if pixels > 0:
            return None
    else:
        return None
    return at if width and height and at <= len(content) else None


def _is_tiff(content: bytes, start: int) -> bool:
    """Returns whether a TIFF with a picture begins at a place. Cameras' notes have directories too, without one."""
    order: Literal["little", "big"] = "little" if content[start : start + 1] == b"I" else "big"
    # BigTIFF has wider numbers.
    number, entry, first = (8, 20, 8) if b"+" in content[start : start + 4] else (2, 12, 4)
    at = start + int.from_bytes(content[start + first : start + 2 * first], order)
    count = int.from_bytes(content[at : at + number], order)
    at += number
    if not 0 < count <= _MOST_TIFF_TAGS or at + count * entry > len(content):
        return False
    tags = {int.from_bytes(content[place : place + 2], order) for place in range(at, at + count * entry, entry)}
    return any(wanted <= tags for wanted in _TIFF_PICTURE_TAGS)
