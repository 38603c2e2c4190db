"""Animated WebP, PNG and AVIF -> pictures with times, through OpenCV's image codecs: its FFmpeg reads none of them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from tinydf_runtime.errors import UnreadableInputError
from tinydf_runtime.io.containers.more_pictures import PNG_START
from tinydf_runtime.io.containers.stills import read_gif
from tinydf_runtime.io.filters import show_on_white
from tinydf_runtime.io.opencv import quiet, readable_name
from tinydf_runtime.types import Image

CHUNK_BYTES = 64 << 20
"""Size of the pictures decoded at once; each further chunk decodes all before it again."""
_LONGEST_CHUNK = 64
_USUAL_MS = 100
"""Browsers show a picture without a duration this long."""
_SEARCHED_BYTES = 1 << 16
_MOST_CHUNKS = 4096


class AnimationCapture:
    """Reads an animated image with the interface of ``cv2.VideoCapture``; memory does not grow with its length.

    Attributes:
        promised: Pictures that the file says to hold.
    """

    def __init__(self, path: Path) -> None:
        """Decodes the first picture.

        Raises:
            UnreadableInputError: The file is damaged, or this OpenCV cannot read animations.
        """
        if not hasattr(cv2, "imreadanimation"):
            raise UnreadableInputError(
                f"{path}: animated, which OpenCV {cv2.__version__} cannot read. "
                "Install a newer one: pip install -U opencv-python-headless"
            )
        self._path = path
        self.promised: int = self._count()
        self._pictures: list[Image] = []
        self._durations: list[int] = []
        self._first = 0
        self._index = -1
        self._shown_ms = 0.0
        self._read_chunk(0, 1)
        if not self._pictures:
            raise UnreadableInputError(f"{path}: no picture can be decoded. Check that the file opens in a viewer.")
        self._height, self._width = self._pictures[0].shape[:2]
        self._per_chunk = max(1, min(_LONGEST_CHUNK, CHUNK_BYTES // (self._height * self._width * 4)))

    def isOpened(self) -> bool:  # noqa: N802
        """Returns True: a file that cannot be read raises when opened."""
        return True

    def grab(self) -> bool:
        """Moves to the next picture; False at the end."""
        if self._index >= 0:
            self._shown_ms += self._durations[self._index - self._first]
        self._index += 1
        if self._index - self._first >= len(self._pictures):
            self._read_next()
        return bool(self._pictures)

    def retrieve(self) -> tuple[bool, Image | None]:
        """Returns True and the picture, H x W x 3, BGR, uint8; transparent parts are white."""
        picture = self._pictures[self._index - self._first]
        return True, show_on_white(np.ascontiguousarray(picture[..., :3], np.uint8), picture)[0]

    def get(self, which: int) -> float:
        """Returns what ``cv2.VideoCapture.get`` would, 0 where not known."""
        facts = {
            cv2.CAP_PROP_FRAME_WIDTH: float(self._width),
            cv2.CAP_PROP_FRAME_HEIGHT: float(self._height),
            cv2.CAP_PROP_FPS: 1000 / (self._durations[0] if self._durations else _USUAL_MS),
            cv2.CAP_PROP_POS_MSEC: self._shown_ms,
        }
        return facts.get(which, 0.0)

    def set(self, which: int, value: float) -> bool:
        """Returns False: nothing can be set."""
        return False

    def release(self) -> None:
        """Releases the pictures."""
        self._pictures = []

    def _count(self) -> int:
        """Returns how many pictures the headers promise, or how many there are where that is more."""
        try:
            with quiet(), readable_name(self._path) as name:
                return max(int(cv2.imcount(name)), _count_png(self._path))
        except (cv2.error, OSError):
            return 0

    def _read_next(self) -> None:
        """Decodes the next pictures: OpenCV gives none of those that it decodes at once where one is damaged."""
        self._read_chunk(self._index, self._per_chunk)
        while not self._pictures and self._per_chunk > 1 and self._index < self.promised:
            self._per_chunk //= 2
            self._read_chunk(self._index, self._per_chunk)

    def _read_chunk(self, first: int, count: int) -> None:
        """Decodes ``count`` pictures from number ``first`` on; none at the end or where the file is damaged."""
        self._first, self._pictures, self._durations = first, [], []
        try:
            with quiet(), readable_name(self._path) as name:
                found, animation = cv2.imreadanimation(name, first, count)
        except cv2.error:
            return
        if found and (first == 0 or len(animation.frames)):
            self._pictures = [np.asarray(picture, np.uint8) for picture in animation.frames]
            self._durations = [int(duration) or _USUAL_MS for duration in np.ravel(animation.durations)]
            self._durations += [_USUAL_MS] * (len(self._pictures) - len(self._durations))


def _count_png(path: Path) -> int:
    """Returns how many pictures of an animated PNG say when they are shown, 0 for another file.

    Raises:
        OSError: The file cannot be read.
    """
    content = path.read_bytes()
    return content.count(b"fcTL") if content.startswith(PNG_START) else 0


def is_animated(path: Path) -> bool:
    """Returns whether an image file holds more than one picture to be shown one after the other."""
    try:
        with path.open("rb") as file:
            start = file.read(_SEARCHED_BYTES)
            if start.startswith(b"GIF8"):
                return read_gif(file, most=2).pictures > 1
    except OSError:
        return False
    if start[:4] == b"RIFF" and start[8:16] == b"WEBPVP8X":
        return bool(start[20] & 2) if len(start) > 20 else False
    if start.startswith(PNG_START):
        return _png_is_animated(path)
    return start[4:12] == b"ftypavis"


def _png_is_animated(path: Path) -> bool:
    """Returns whether a PNG has APNG's control chunk before the first picture's data. Any text may come before it."""
    at = 8
    try:
        with path.open("rb") as file:
            for _ in range(_MOST_CHUNKS):
                file.seek(at)
                head = file.read(8)
                if len(head) < 8 or head[4:] in (b"IDAT", b"acTL"):
                    return head[4:] == b"acTL"
                at += 12 + int.from_bytes(head[:4], "big")
    except OSError:
        pass
    return False
