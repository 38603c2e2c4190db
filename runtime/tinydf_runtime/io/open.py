"""Path or address -> an open reader of its frames: ``VideoReader``, or ``PictureReader`` for an image file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol

from tinydf_runtime.errors import UnreadableInputError
from tinydf_runtime.io.address import mask_credentials
from tinydf_runtime.io.filters import has_few_colours
from tinydf_runtime.io.image import read_shown
from tinydf_runtime.io.pages import has_unread_pictures, read_more_pages
from tinydf_runtime.io.video import VideoInfo, VideoReader
from tinydf_runtime.results import Adjustment, Reason
from tinydf_runtime.types import Frame


class PictureReader:
    """Reads the pictures of an image file. Same interface as ``VideoReader``.

    Attributes:
        info: Size of the first picture.
        frames_decoded: Pictures read so far.
        truncated: False: an image that is cut off is not read at all.
        adjustments: What was done to the pictures, beside turning them upright.
        caveats: Reasons not to rely on them.
    """

    def __init__(self, path: Path) -> None:
        """Reads the first picture.

        Raises:
            UnreadableInputError: See ``read_image``.
            MissingExtraError: See ``read_image``.
        """
        self._path = path
        self.adjustments: tuple[Adjustment, ...]
        self._image, self.adjustments = read_shown(path)
        height, width = self._image.shape[:2]
        self.info: VideoInfo = VideoInfo(width, height, None, None, 0, 1)
        self.frames_decoded: int = 1
        self.truncated: bool = False
        self.caveats: tuple[Reason, ...] = ("few_colours",) if has_few_colours(self._image) else ()

    def __enter__(self) -> PictureReader:
        """Returns itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to close: no file stays open."""

    def __iter__(self) -> Iterator[Frame]:
        """Yields the pictures; the time between two is a second."""
        yield Frame(0, 0.0, self._image)
        for image in read_more_pages(self._path):
            if image is None:
                self._note("damaged_part")
                continue
            yield Frame(self.frames_decoded, float(self.frames_decoded), image)
            self.frames_decoded += 1
        if has_unread_pictures(self._path):
            self._note("more_tracks")

    def _note(self, caveat: Reason) -> None:
        """Notes a reason not to rely on the pictures."""
        if caveat not in self.caveats:
            self.caveats += (caveat,)


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
