"""Path -> a reader of its frames, whichever kind of file it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal, Protocol

from tinydf_runtime.errors import UnreadableInputError
from tinydf_runtime.io.address import mask_credentials
from tinydf_runtime.io.image_reader import PictureReader
from tinydf_runtime.io.video import VideoInfo, VideoReader
from tinydf_runtime.results import Adjustment
from tinydf_runtime.types import Frame, Reason


class FrameReader(AbstractContextManager["FrameReader"], Protocol):
    """What ``VideoReader`` and ``PictureReader`` offer."""

    info: VideoInfo
    frames_decoded: int
    truncated: bool
    adjustments: tuple[Adjustment, ...]
    caveats: tuple[Reason, ...]

    def __iter__(self) -> Iterator[Frame]:
        """Yields the frames in order."""


def open_reader(
    source: str | int,
    kind: Literal["video", "image", "stream"],
    sample_fps: float | None,
    max_pixels: int | None = None,
) -> FrameReader:
    """Opens a file, or an address, as what ``kind_of`` found it to be.

    Raises:
        UnreadableInputError: It holds nothing that can be decoded here, or pictures of more than ``max_pixels``.
        MissingExtraError: The library that decodes it is not installed.
    """
    reader: FrameReader = PictureReader(Path(str(source))) if kind == "image" else VideoReader(source, sample_fps)
    width, height = reader.info.width, reader.info.height
    if max_pixels is not None and width * height > max_pixels:
        reader.__exit__(None, None, None)
        shown = mask_credentials(source)
        raise UnreadableInputError(f"{shown}: has {width} x {height} pixels, more than are allowed. Make it smaller.")
    return reader
