"""Motion JPEG without a container: pictures one after the other, of which nothing says when they are shown."""

from __future__ import annotations

import mmap
from pathlib import Path

import cv2
import numpy as np

from tinydf_runtime.io.containers.private_jpegs import PrivateJpegs
from tinydf_runtime.io.quiet import quiet
from tinydf_runtime.types import Image

FPS = 25.0
"""What players assume."""
_START, _END = b"\xff\xd8\xff", b"\xff\xd9"
_PADDING_BYTES = 64
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
        self._picture: bytes = b""
        image = self._decode(_next_picture(self._content, 0)[0])
        self._height, self._width = (0, 0) if image is None else image.shape[:2]

    def isOpened(self) -> bool:  # noqa: N802
        """Returns whether the first picture can be decoded."""
        return bool(self._width)

    def grab(self) -> bool:
        """Finds the next picture; False at the end."""
        self._picture, self._end = _next_picture(self._content, self._end)
        self._index += 1
        return bool(self._picture)

    def retrieve(self) -> tuple[bool, Image | None]:
        """Returns the picture as BGR; (False, None) for a damaged one."""
        image = self._decode(self._picture)
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

    def _decode(self, picture: bytes) -> Image | None:
        """Returns a picture, None where it is damaged."""
        if not picture:
            return None
        try:
            with quiet():
                image = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
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
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            at = 0
            for _ in range(_LEAST_PICTURES):
                picture, end = _next_picture(content, at)
                if not picture or content.find(_START, at, at + _PADDING_BYTES) < 0:
                    return False
                at = end
    return True


def _next_picture(content: bytes | mmap.mmap, at: int) -> tuple[bytes, int]:
    """Returns the next picture from a place on and where it ends; nothing where there is none or its end is missing."""
    start = content.find(_START, at)
    if start < 0:
        return b"", at
    end = jpeg_end(content, start)
    return (b"", len(content)) if end is None else (content[start:end], end)


def jpeg_end(content: bytes | mmap.mmap, start: int) -> int | None:
    """Returns where the picture that starts at a place ends, None where its end is missing."""
    # Segments tell their lengths, and may hold whole pictures; the coded data that follows them does not.
    place = start + 2
    while place + 4 <= len(content) and content[place] == 0xFF and content[place + 1] != 0xDA:
        if content[place + 1] == 0xFF:
            place += 1
            continue
        place += 2 + int.from_bytes(content[place + 2 : place + 4], "big")
    end = content.find(_END, place)
    return end + 2 if end >= 0 else None
