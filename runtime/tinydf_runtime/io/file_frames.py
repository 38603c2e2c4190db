"""Path or address -> an open reader of its frames; ``FileFrames`` reads ahead of its consumer, in a thread."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Protocol

from tinydf_runtime.errors import TinyDFError, UnreadableInputError, one_line
from tinydf_runtime.io.address import mask_credentials
from tinydf_runtime.io.ahead import Ahead
from tinydf_runtime.io.decoder_log import DecoderLog
from tinydf_runtime.io.filters import has_few_colours
from tinydf_runtime.io.image import read_shown
from tinydf_runtime.io.pages import has_unread_pictures, read_more_pages
from tinydf_runtime.io.video import VideoInfo, VideoReader
from tinydf_runtime.types import Adjustment, Frame, Kind, Reason

LEAST_AHEAD, MOST_AHEAD = 2, 16
"""Bounds on buffered frames: enough that neither side stalls; the higher one is reached while networks load."""
AHEAD_BYTES = 24 << 20
"""Memory for them, exceeded only for the least number: 3 frames of 1920 x 1080."""


class FrameReader(AbstractContextManager["FrameReader"], Protocol):
    """What reads the frames of one input. Its facts are known after the first frame."""

    @property
    def info(self) -> VideoInfo:
        """What the input says about itself."""

    @property
    def frames_decoded(self) -> int:
        """Frames decoded so far, those that sampling skipped included."""

    @property
    def truncated(self) -> bool:
        """Whether the input ended before its promised end."""

    @property
    def adjustments(self) -> tuple[Adjustment, ...]:
        """What was done to the pictures, beside turning them upright."""

    @property
    def caveats(self) -> tuple[Reason, ...]:
        """Reasons not to rely on the pictures."""

    def __iter__(self) -> Iterator[Frame]:
        """Yields the sampled frames in order."""


class PictureReader:
    """Reads the pictures of an image file; a ``FrameReader``.

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
        given = 0
        for given, image in enumerate(read_more_pages(self._path), 1):  # noqa: B007 - read after the loop
            if image is None:
                self._note("damaged_part")
                continue
            yield Frame(self.frames_decoded, float(self.frames_decoded), image)
            self.frames_decoded += 1
        if has_unread_pictures(self._path, given):
            self._note("more_tracks")

    def _note(self, caveat: Reason) -> None:
        """Notes a reason not to rely on the pictures."""
        if caveat not in self.caveats:
            self.caveats += (caveat,)


def open_reader(
    source: str | int,
    kind: Kind,
    sample_fps: float | None,
    max_pixels: int | None = None,
    log: DecoderLog | None = None,
) -> FrameReader:
    """Opens a file, or an address, as what ``kind_of`` found it to be.

    Args:
        source: Path or address.
        kind: What it is, see ``kind_of``.
        sample_fps: Frames wanted a second, None for all.
        max_pixels: See ``Limits``.
        log: Of this process, where it does nothing but decode this input.

    Raises:
        UnreadableInputError: It holds nothing that can be decoded here, or pictures of more than ``max_pixels``.
        MissingExtraError: The library that decodes it is not installed.
    """
    reader: FrameReader = PictureReader(Path(str(source))) if kind == "image" else VideoReader(source, sample_fps, log)
    width, height = reader.info.width, reader.info.height
    if max_pixels is not None and width * height > max_pixels:
        reader.__exit__(None, None, None)
        shown = mask_credentials(source)
        raise UnreadableInputError(f"{shown}: has {width} x {height} pixels, more than are allowed. Make it smaller.")
    return reader


class FileFrames:
    """Decodes a file's frames once, in order, ahead of their consumer; a ``FrameReader``.

    The file is opened in the thread, so that networks can load meanwhile; its errors are raised with the first frame.
    """

    def __init__(
        self, source: str | int, sample_fps: float | None, kind: Kind = "video", max_pixels: int | None = None
    ) -> None:
        """Stores what to read; opens nothing yet.

        Args:
            source: Path or address.
            sample_fps: Frames wanted a second, None for all.
            kind: What it is, see ``kind_of``.
            max_pixels: See ``Limits``.
        """
        self._source = source
        self._kind = kind
        self._sample_fps = sample_fps
        self._max_pixels = max_pixels
        self._reader: FrameReader | None = None
        self._ahead = Ahead(self._read(), LEAST_AHEAD, "tinydf-decode")
        self.decode_s: float = 0.0

    def __enter__(self) -> FileFrames:
        """Starts to read, and returns itself."""
        self._ahead.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the file."""
        self._ahead.__exit__(kind, error, trace)

    def __iter__(self) -> FileFrames:
        """Returns itself."""
        return self

    def __next__(self) -> Frame:
        """Returns the next wanted frame.

        Raises:
            UnreadableInputError: The file cannot be opened, or not one frame could be decoded.
        """
        return next(self._ahead)

    @property
    def info(self) -> VideoInfo:
        """Header facts of the file; known after the first frame."""
        return self._opened().info

    @property
    def frames_decoded(self) -> int:
        """Frames decoded so far, buffered and skipped ones included."""
        return self._opened().frames_decoded

    @property
    def truncated(self) -> bool:
        """True when all frames were read and the file had promised clearly more."""
        return self._opened().truncated

    @property
    def adjustments(self) -> tuple[Adjustment, ...]:
        """What was done to the pictures, beside turning them upright."""
        return self._opened().adjustments

    @property
    def caveats(self) -> tuple[Reason, ...]:
        """Reasons not to rely on the pictures."""
        return self._opened().caveats

    def _opened(self) -> FrameReader:
        """Returns the reader."""
        assert self._reader is not None
        return self._reader

    def _read(self) -> Generator[Frame, None, None]:
        """Opens, decodes and closes, in the thread.

        Raises:
            UnreadableInputError: Whatever a library raised.
        """
        try:
            yield from self._decode()
        except (TinyDFError, OSError, GeneratorExit):
            raise
        # Any error of a decoder means that this input cannot be read.
        except Exception as error:
            text = one_line(error)
            raise UnreadableInputError(f"{self._source}: cannot be decoded ({text}). Check that it opens.") from error

    def _decode(self) -> Generator[Frame, None, None]:
        """Opens, decodes and closes."""
        started = time.perf_counter()
        with open_reader(self._source, self._kind, self._sample_fps, self._max_pixels) as reader:
            self._reader = reader
            frame_bytes = max(1, 3 * reader.info.width * reader.info.height)
            self._ahead.depth = min(max(AHEAD_BYTES // frame_bytes, LEAST_AHEAD), MOST_AHEAD)
            for frame in reader:
                self.decode_s += time.perf_counter() - started
                yield frame
                # Frees the frame before the next one is decoded.
                del frame
                started = time.perf_counter()
        self.decode_s += time.perf_counter() - started
