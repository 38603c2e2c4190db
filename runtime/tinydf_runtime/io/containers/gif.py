"""GIF file -> how many pictures it holds, and whether it ends as it should. Nothing here decodes pictures."""

from __future__ import annotations

from typing import BinaryIO

_MOST_BLOCKS = 1 << 22
"""Blocks of at most 255 bytes: a gigabyte. What is longer counts as damaged."""


def count_pictures(file: BinaryIO, most: int) -> int:
    """Returns how many pictures a GIF holds, counting no further than ``most``."""
    return _walk(file, most)[0]


def gif_is_whole(file: BinaryIO) -> bool:
    """Returns whether a GIF goes on to its trailer, the byte that ends it."""
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
