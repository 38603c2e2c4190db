"""Motion JPEG without a container: pictures one after the other, of which nothing says when they are shown."""

from __future__ import annotations

import mmap
import re
from pathlib import Path

import cv2
import numpy as np

from tinydf_runtime.io.containers.private_jpegs import PrivateJpegs
from tinydf_runtime.io.quiet import quiet
from tinydf_runtime.types import Image

FPS = 25.0
"""What players assume."""
_START, _END = b"\xff\xd8\xff", b"\xff\xd9"
_FILL = re.compile(rb"\xff+(?=\xff)")
_PADDING_BYTES = 64
_MOST_SEGMENTS = 4096
"""Before a picture's coded data. Photos have some dozens; colour profiles are split into at most 255."""
_SEARCHED_BYTES = 64 << 20
"""In which a film shows its first pictures."""
_LEAST_PICTURES = 3
"""Phones put a second picture, a preview or a map of brightness, behind a photo."""


class JpegCapture:
    """Reads such a file as ``cv2.VideoCapture`` reads a film."""

    def __init__(self, path: Path, pictures: PrivateJpegs | None = None) -> None:
        """Opens the file.

        Args:
            path: The file.
            pictures: Those in it, where it is more than pictures.
        """
        self._fps = FPS if pictures is None or pictures.fps is None else pictures.fps
        self._content: bytes | mmap.mmap
        if pictures is None:
            with path.open("rb") as file:
                self._content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        else:
            self._content = pictures.content
        self._end = 0
        self._index = -1
        self._start = 0
        image = self._decode(*_next_picture(self._content, 0))
        self._height, self._width = (0, 0) if image is None else image.shape[:2]

    def isOpened(self) -> bool:  # noqa: N802
        """Returns whether the first picture can be decoded."""
        return bool(self._width)

    def grab(self) -> bool:
        """Finds the next picture; False at the end."""
        self._start, self._end = _next_picture(self._content, self._end)
        self._index += 1
        return self._start < self._end

    def retrieve(self) -> tuple[bool, Image | None]:
        """Returns the picture as BGR; (False, None) for a damaged one."""
        image = self._decode(self._start, self._end)
        return image is not None, image

    def get(self, which: int) -> float:
        """Returns what ``cv2.VideoCapture.get`` would, 0 where not known."""
        facts = {
            cv2.CAP_PROP_FRAME_WIDTH: float(self._width),
            cv2.CAP_PROP_FRAME_HEIGHT: float(self._height),
            cv2.CAP_PROP_FPS: self._fps,
            cv2.CAP_PROP_POS_MSEC: self._index * 1000 / self._fps,
        }
        return facts.get(which, 0.0)

    def set(self, which: int, value: float) -> bool:
        """Returns False: nothing can be set."""
        return False

    def release(self) -> None:
        """Closes the file."""
        if isinstance(self._content, mmap.mmap):
            self._content.close()

    def _decode(self, start: int, end: int) -> Image | None:
        """Returns the picture at a place, None where it is damaged."""
        if start >= end:
            return None
        try:
            with quiet():
                picture = np.frombuffer(self._content[start:end], np.uint8)
                image = cv2.imdecode(picture, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        except cv2.error:
            return None
        return None if image is None else np.asarray(image, np.uint8)


def is_jpeg_film(path: Path) -> bool:
    """Returns whether a file is nothing but JPEG pictures, more than a photo is made of.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        if file.read(3) != _START:
            return False
        # Not mapped: that ends the process where somebody cuts the file meanwhile.
        content = _START + file.read(_SEARCHED_BYTES)
    at = 0
    for _ in range(_LEAST_PICTURES):
        start, end = _next_picture(content, at)
        if start >= end or start - at > _PADDING_BYTES:
            return False
        at = end
    return True


def _next_picture(content: bytes | mmap.mmap, at: int) -> tuple[int, int]:
    """Returns where the next picture from a place on starts and ends; twice the same where none is there or whole."""
    start = content.find(_START, at)
    if start < 0:
        return at, at
    end = jpeg_end(content, start)
    return (start, end) if end is not None else (len(content), len(content))


def jpeg_end(content: bytes | mmap.mmap, start: int) -> int | None:
    """Returns where the picture that starts at a place ends, None where its end is missing."""
    # Segments tell their lengths, and may hold whole pictures; the coded data that follows them does not.
    place = start + 2
    for _ in range(_MOST_SEGMENTS):
        # Any number of fill bytes may come before a marker (ITU-T T.81, B.1.1.2).
        if (fill := _FILL.match(content, place)) is not None:
            place = fill.end()
        if place + 4 > len(content) or content[place] != 0xFF or content[place + 1] == 0xDA:
            break
        place += 2 + int.from_bytes(content[place + 2 : place + 4], "big")
    end = content.find(_END, place)
    return end + 2 if end >= 0 else None
