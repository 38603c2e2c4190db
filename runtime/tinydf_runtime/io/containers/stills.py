"""Headers of GIF, AVIF, HEIC and EXR files: number of pictures, completeness, turns, HDR. Nothing here decodes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import cv2
import numpy as np

from tinydf_runtime.io.containers.mp4 import boxes
from tinydf_runtime.types import Image

_PICTURE_ITEMS = frozenset({b"av01", b"hvc1", b"grid", b"iovl", b"iden"})
_MOST_BLOCKS = 1 << 22
"""Blocks of at most 255 bytes: a gigabyte. What is longer counts as damaged."""


@dataclass(frozen=True, slots=True)
class Gif:
    """What the blocks of a GIF say.

    Attributes:
        pictures: How many whole ones come.
        whole: The trailer byte follows them.
        untimed: One after the first is not announced by a block that says how long the one before it is shown.
    """

    pictures: int
    whole: bool
    untimed: bool


def read_gif(file: BinaryIO, most: int | None = None) -> Gif:
    """Walks the blocks of a GIF, no further than its picture number ``most``."""
    file.seek(0)
    screen = file.read(13)
    if len(screen) < 13:
        return Gif(0, False, False)
    file.seek(_palette_bytes(screen[10]), 1)
    count = blocks = 0
    untimed = announced = False
    while most is None or count < most:
        kind = file.read(1)
        if kind not in (b"\x21", b"\x2c"):
            return Gif(count, kind == b"\x3b", untimed)
        if kind == b"\x2c":
            descriptor = file.read(9)
            if len(descriptor) < 9:
                break
            count += 1
            untimed = untimed or (count > 1 and not announced)
            announced = False
            file.seek(_palette_bytes(descriptor[8]), 1)
        # An extension's label, or a picture's code size; then blocks until an empty one.
        announced = (file.read(1) == b"\xf9" and kind == b"\x21") or announced
        while (length := file.read(1)) != b"\0":
            blocks += 1
            if not length or blocks > _MOST_BLOCKS:
                return Gif(count, False, untimed)
            file.seek(length[0], 1)
    return Gif(count, False, untimed)


def _palette_bytes(flags: int) -> int:
    """Returns the length of the palette that follows a screen or picture descriptor."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


_EXR_LINES = {0: 1, 1: 1, 2: 1, 3: 16, 4: 32, 5: 16, 6: 32, 7: 32, 8: 32, 9: 256}
"""Compression of an OpenEXR file -> picture lines a block."""
_EXR_MANY_PARTS = 0x1800
_MOST_ATTRIBUTES = 1000


def exr_is_cut_off(content: bytes) -> bool:
    """Returns whether a block of an OpenEXR picture lies behind its file's end; False where that cannot be told."""
    if int.from_bytes(content[4:8], "little") & _EXR_MANY_PARTS:
        return False
    facts, at = {}, 8
    for _ in range(_MOST_ATTRIBUTES):
        end = content.find(b"\0", at)
        kind_end = content.find(b"\0", end + 1)
        if end == at:
            break
        if end < 0 or kind_end < 0:
            return True
        length = int.from_bytes(content[kind_end + 1 : kind_end + 5], "little")
        facts[content[at:end]] = content[kind_end + 5 : kind_end + 5 + length]
        at = kind_end + 5 + length
        if at >= len(content):
            return True
    lines, window = (
        _EXR_LINES.get(int.from_bytes(facts.get(b"compression", b"\xff")[:1], "little")),
        facts.get(b"dataWindow", b""),
    )
    if lines is None or len(window) < 16 or b"tiles" in facts:
        return False
    height = (
        int.from_bytes(window[12:16], "little", signed=True) - int.from_bytes(window[4:8], "little", signed=True) + 1
    )
    table = content[at + 1 : at + 1 + 8 * -(-height // lines)]
    starts = np.frombuffer(table[: len(table) // 8 * 8], "<u8")
    # A block begins with its line and its length.
    last = int(starts.max()) if len(starts) else len(content)
    return last + 8 + int.from_bytes(content[last + 4 : last + 8], "little") > len(content)


_ANTICLOCKWISE = {1: cv2.ROTATE_90_COUNTERCLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_CLOCKWISE}


def turn_avif(image: Image, content: bytes) -> Image:
    """Returns a picture upright, as the properties of the file's primary item say (ISO/IEC 23008-12, 6.5.10, 6.5.12).

    Args:
        image: As decoded.
        content: Of the file. One that is damaged leaves the picture as it is.
    """
    for kind, value in _properties(content):
        if kind == b"irot" and value and value[0] & 3:
            image = np.asarray(cv2.rotate(image, _ANTICLOCKWISE[value[0] & 3]), np.uint8)
        elif kind == b"imir" and value:
            # Axis 0 exchanges top and bottom, 1 left and right.
            image = np.asarray(cv2.flip(image, value[0] & 1), np.uint8)
    return image


def transfer_of(content: bytes) -> int | None:
    """Returns the transfer characteristics of an AVIF or HEIC file, as ITU-T H.273 numbers them; None where not said.

    Args:
        content: Of the file.
    """
    for kind, value in _properties(content):
        if kind == b"colr" and value[:4] == b"nclx" and len(value) >= 8:
            return int.from_bytes(value[6:8], "big")
    return None


def _properties(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yields kind and value of the primary item's properties, in the order in which they apply."""
    meta = dict(boxes(content)).get(b"meta", b"")[4:]
    found = dict(boxes(meta))
    primary, parts = found.get(b"pitm", b""), dict(boxes(found.get(b"iprp", b"")))
    if len(primary) < 6:
        return
    item = int.from_bytes(primary[4:6] if not primary[0] else primary[4:8], "big")
    properties = list(boxes(parts.get(b"ipco", b"")))
    for index in _associations(parts.get(b"ipma", b""), item):
        if 0 < index <= len(properties):
            yield properties[index - 1]


def count_shown(content: bytes) -> int:
    """Returns how many pictures an AVIF or HEIC file lists to be shown: no previews, masks, gain maps or tiles.

    Args:
        content: Of the file. Of one that is damaged, 0.
    """
    found = dict(boxes(dict(boxes(content)).get(b"meta", b"")[4:]))
    listing, references = found.get(b"iinf", b""), found.get(b"iref", b"")
    entries = (part for kind, part in boxes(listing[6 if listing[:1] == b"\0" else 8 :]) if kind == b"infe")
    shown = {number for number, kind, hidden in map(_item, entries) if kind in _PICTURE_ITEMS and not hidden}
    number_bytes = 2 if references[:1] == b"\0" else 4
    for kind, part in boxes(references[4:]):
        # From which item, how many follow, to which items.
        listed = part[:number_bytes] + part[number_bytes + 2 :]
        numbers = [int.from_bytes(listed[at : at + number_bytes], "big") for at in range(0, len(listed), number_bytes)]
        # A preview or mask names the picture that it belongs to; what is put together names its parts.
        shown -= set(numbers[:1] if kind in (b"thmb", b"auxl") else numbers[1:] if kind == b"dimg" else [])
    return len(shown)


def _item(entry: bytes) -> tuple[int, bytes, bool]:
    """Returns number and kind of an item from its infe box (ISO/IEC 14496-12, 8.11.6), and whether it is hidden."""
    number_bytes = 4 if entry[:1] == b"\3" else 2
    start = 4 + number_bytes + 2
    hidden = bool(entry[3:4] and entry[3] & 1)
    return int.from_bytes(entry[4 : 4 + number_bytes], "big"), entry[start : start + 4], hidden


def _associations(content: bytes, item: int) -> list[int]:
    """Returns which properties an item has, counted from 1."""
    if len(content) < 8:
        return []
    id_bytes, wide = (4 if content[0] else 2), bool(content[3] & 1)
    count, at = int.from_bytes(content[4:8], "big"), 8
    for _ in range(min(count, 1 << 16)):
        if at + id_bytes >= len(content):
            break
        found, many = int.from_bytes(content[at : at + id_bytes], "big"), content[at + id_bytes]
        at += id_bytes + 1
        step = 2 if wide else 1
        if found == item:
            places = (content[at + step * i : at + step * (i + 1)] for i in range(many))
            return [int.from_bytes(place, "big") & (0x7FFF if wide else 0x7F) for place in places]
        at += step * many
    return []
