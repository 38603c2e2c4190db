"""Image file -> the pictures that it holds after its first, and whether there are more than are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from tinydf_runtime.io.containers.more_pictures import goes_on
from tinydf_runtime.io.containers.mp4 import boxes
from tinydf_runtime.io.containers.stills import count_shown
from tinydf_runtime.io.formats import PictureFormat, iso_brand, picture_format, read_start
from tinydf_runtime.io.image import decode, in_colour
from tinydf_runtime.io.jpeg_film import jpeg_size, next_jpeg
from tinydf_runtime.io.opencv import quiet, readable_name
from tinydf_runtime.types import Image

MOST_PAGES = 200
_GAIN_MAP_MARKS = (b"hdrgm", b"urn:iso:std:iso:ts:21496:-1")
_HEAD_BYTES = 1 << 16


def read_more_pages(path: Path) -> Iterator[Image | None]:
    """Yields what an image file holds after its first picture: pages of a TIFF or HEIC, other views of a JPEG.

    Yields:
        H x W x 3, BGR, uint8; None for one that cannot be decoded.
    """
    form = picture_format(read_start(path), path.suffix) or PictureFormat("image")
    if form.decoder == "heif":
        yield from _read_more_heif(path)
    elif form.name == "TIFF":
        yield from _read_more_tiff(path)
    elif form.name == "JPEG":
        yield from _read_more_jpegs(path)


def has_unread_pictures(path: Path, given: int = 0) -> bool:
    """Returns whether an image file, or an animation, goes on with pictures that its reader does not give.

    Args:
        path: The file.
        given: How many ``read_more_pages`` gave, so that only a file of more pages than are read is counted.
    """
    form = picture_format(read_start(path), path.suffix)
    if form is None:
        return False
    if form.decoder == "heif":
        import pi_heif

        if given == MOST_PAGES and len(pi_heif.open_heif(path)) > 1 + MOST_PAGES:
            return True
    if form.name == "TIFF" and given == MOST_PAGES and _count_tiff(path) > 1 + MOST_PAGES:
        return True
    content = path.read_bytes()
    # A film inside a photo: an AVIF that begins as one is read as one.
    has_film = iso_brand(content[:16]) not in (b"", b"avis") and b"moov" in dict(boxes(content))
    beside = form.name == "AVIF" and count_shown(content) > 1
    return has_film or beside or goes_on(content, form.name)


def _count_tiff(path: Path) -> int:
    """Returns how many pages a TIFF has, 0 where that cannot be told."""
    try:
        with readable_name(path) as name, quiet():
            return int(cv2.imcount(name))
    except cv2.error:
        return 0


def _read_more_tiff(path: Path) -> Iterator[Image | None]:
    """Yields the pages after the first."""
    for page in range(1, min(_count_tiff(path), 1 + MOST_PAGES)):
        images: Sequence[np.ndarray | None] = ()
        try:
            with readable_name(path) as name, quiet():
                _, images = cv2.imreadmulti(name, page, 1, flags=cv2.IMREAD_COLOR)
        except cv2.error:
            pass
        yield np.asarray(images[0], np.uint8) if len(images) and images[0] is not None else None


def _read_more_jpegs(path: Path) -> Iterator[Image | None]:
    """Yields the pictures behind a JPEG that are no smaller and in colour: other views, as stereo cameras take them.

    Previews are smaller; maps of depth and brightness are grey, or say what they are.
    """
    content = path.read_bytes()
    height, width, _ = jpeg_size(content, 0)
    _, at = next_jpeg(content, 0)
    for _ in range(MOST_PAGES):
        start, end = next_jpeg(content, at)
        if start >= end:
            return
        at = end
        head = content[start : min(end, start + _HEAD_BYTES)]
        rows, columns, colours = jpeg_size(content, start)
        if (
            min(rows - height, columns - width) >= 0
            and colours > 1
            and not any(mark in head for mark in _GAIN_MAP_MARKS)
        ):
            picture = decode(path, content[start:end], cv2.IMREAD_COLOR)
            yield None if picture is None else np.asarray(picture, np.uint8)


def _read_more_heif(path: Path) -> Iterator[Image | None]:
    """Yields the pictures of a HEIC file beside the primary one, as bursts have them."""
    import pi_heif

    try:
        opened = pi_heif.open_heif(path, convert_hdr_to_8bit=True, bgr_mode=True)
        others = [image for place, image in enumerate(opened) if place != opened.primary_index][:MOST_PAGES]
    except (OSError, ValueError, RuntimeError):
        return
    del opened
    # Each is decoded when it is taken, and let go of before the next.
    for _ in range(len(others)):
        try:
            yield in_colour(np.array(others.pop(0)))
        except (OSError, ValueError, RuntimeError):
            yield None
