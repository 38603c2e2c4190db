"""Image file -> the pictures that it holds after its first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np

from tinydf_runtime.io.formats import picture_format, read_start
from tinydf_runtime.io.image import in_colour
from tinydf_runtime.io.opencv import quiet, readable_name
from tinydf_runtime.types import Image

_MOST_PAGES = 200


def read_more_pages(path: Path) -> Iterator[Image]:
    """Yields what a TIFF or HEIC holds after the first, H x W x 3, BGR, uint8; what cannot be decoded is left out."""
    form = picture_format(read_start(path), path.suffix)
    if form is not None and form.decoder == "heif":
        yield from _read_more_heif(path)
    if form is None or form.name != "TIFF":
        return
    with readable_name(path) as name, quiet():
        try:
            pages = min(cv2.imcount(name), _MOST_PAGES)
        except cv2.error:
            return
        for page in range(1, pages):
            try:
                found, images = cv2.imreadmulti(name, page, 1, flags=cv2.IMREAD_COLOR)
            except cv2.error:
                continue
            if found and len(images) and images[0] is not None:
                yield np.asarray(images[0], np.uint8)


def _read_more_heif(path: Path) -> Iterator[Image]:
    """Yields the pictures of a HEIC file beside the primary one, as bursts have them."""
    import pi_heif

    try:
        opened = pi_heif.open_heif(path, convert_hdr_to_8bit=True, bgr_mode=True)
        others = [image for place, image in enumerate(opened) if place != opened.primary_index][:_MOST_PAGES]
    except (OSError, ValueError, RuntimeError):
        return
    del opened
    # Each is decoded when it is taken, and let go of before the next.
    for _ in range(len(others)):
        with suppress(OSError, ValueError, RuntimeError):
            yield in_colour(np.array(others.pop(0)))
