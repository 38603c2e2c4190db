"""Headers of GIF, AVIF and HEIC files: number of pictures, completeness, turns, HDR. Nothing here decodes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import cv2
import numpy as np

from tinydf_runtime.io.containers.mp4 import boxes
from tinydf_runtime.types import Image

_MOST_BLOCKS = 1 << 22
"""Blocks of at most 255 bytes: a gigabyte. What is longer counts as damaged."""


def count_pictures(file: BinaryIO, most: int) -> int:
    """Returns how many pictures a GIF holds, counting no further than ``most``."""
    return _walk(file, most)[0]


def gif_is_whole(file: BinaryIO) -> bool:
    """Returns whether a GIF is complete up to its trailer byte."""
    return _walk(file, None)[1]


def _walk(file: BinaryIO, most: int | None) -> tuple[int, bool]:
    """Returns how many whole pictures come, and whether the trailer follows them."""
    file.seek(0)
    screen = file.read(13)
    if len(screen) < 13:
        return 0, False
    file.seek(_palette_bytes(screen[10]), 1)
    count = blocks = 0
    while most is None or count < most:
        kind = file.read(1)
        if kind not in (b"\x21", b"\x2c"):
            return count, kind == b"\x3b"
        if kind == b"\x2c":
            descriptor = file.read(9)
            if len(descriptor) < 9:
                break
            count += 1
            file.seek(_palette_bytes(descriptor[8]), 1)
        # An extension's label, or a picture's code size; then blocks until an empty one.
        file.read(1)
        while (length := file.read(1)) != b"\0":
            blocks += 1
            if not length or blocks > _MOST_BLOCKS:
                return count, False
            file.seek(length[0], 1)
    return count, False


def _palette_bytes(flags: int) -> int:
    """Returns the length of the palette that follows a screen or picture descriptor."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


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
