"""Input -> its sampled frames, decoded ahead of the consumer: in a child process, or in a thread of this one."""

from __future__ import annotations

import time
from collections.abc import Generator
from types import TracebackType

from tinydf_runtime.errors import TinyDFError, UnreadableInputError
from tinydf_runtime.io.ahead import Ahead
from tinydf_runtime.io.open import FrameReader, open_reader
from tinydf_runtime.io.video import VideoInfo
from tinydf_runtime.results import Adjustment, Kind, Reason
from tinydf_runtime.sandbox.client import ChildFrames
from tinydf_runtime.sandbox.start import AVAILABLE
from tinydf_runtime.types import Frame

LEAST_AHEAD, MOST_AHEAD = 2, 16
"""Bounds on buffered frames: enough that neither side stalls; the higher one is reached while networks load."""
AHEAD_BYTES = 24 << 20
"""Memory for them, exceeded only for the least number: 3 frames of 1920 x 1080."""


class FileFrames:
    """Decodes a file's frames once, in order, ahead of their consumer. Same interface as ``VideoReader``.

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
            text = " ".join(str(error).split()) or type(error).__name__
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


def decode(
    source: str | int,
    kind: Kind,
    sample_fps: float | None = None,
    sandbox: bool = True,
    max_pixels: int | None = None,
) -> ChildFrames | FileFrames:
    """Returns a reader of an input that decodes once it is entered: enter it, then iterate.

    Args:
        source: Path or address.
        kind: What it is, see ``kind_of``. Addresses are read in this process: their servers are the user's choice.
        sample_fps: Frames wanted a second, None for all.
        sandbox: Use a child process where the system allows.
        max_pixels: See ``Limits``.
    """
    if sandbox and AVAILABLE and kind != "stream":
        return ChildFrames(str(source), sample_fps, "image" if kind == "image" else "video", max_pixels)
    return FileFrames(source, sample_fps, kind, max_pixels)
