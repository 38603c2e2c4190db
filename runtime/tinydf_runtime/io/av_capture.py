"""Video file -> frames through PyAV (extra ``video``), for what this OpenCV cannot decode or convert."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from tinydf_runtime.errors import UnreadableInputError, needs
from tinydf_runtime.io.opencv import readable_name
from tinydf_runtime.types import Image

if TYPE_CHECKING:
    import av


_MOST_FAILURES = 100_000


class AvCapture:
    """Decodes with PyAV behind the interface of ``cv2.VideoCapture``; header properties still come from OpenCV.

    Attributes:
        damaged: Whether packets that could not be decoded were skipped.
    """

    def __init__(self, path: Path, headers: cv2.VideoCapture) -> None:
        """Opens the file.

        Args:
            path: The file.
            headers: OpenCV's reader, which has opened it and knows its size, rotation and frame rate.

        Raises:
            MissingExtraError: PyAV is not installed.
            UnreadableInputError: PyAV cannot open the file.
        """
        with needs("video"):
            import av
        self._errors = (av.FFmpegError, EOFError)
        self._headers = headers
        self.damaged: bool = False
        self._frame: av.VideoFrame | None = None
        try:
            with readable_name(path) as name:
                self._container = av.open(f"file:{name}")
            self._stream = self._container.streams.video[0]
        except (av.FFmpegError, IndexError) as error:
            raise UnreadableInputError(f"{path}: cannot be opened ({error}). Check that the file plays.") from error
        self._stream.thread_type = "AUTO"
        self._frames = self._decode()
        self._start = self._stream.start_time or 0
        self._aspect: Fraction | None = None
        self._first_aspect: Fraction | None = None

    def isOpened(self) -> bool:  # noqa: N802
        """Returns True: a file that cannot be opened raises."""
        return True

    def grab(self) -> bool:
        """Decodes the next frame; False at the end."""
        first = self._frame is None
        self._frame = next(self._frames, None)
        if self._frame is None:
            return False
        decoder = self._stream.codec_context
        # The decoder is ahead of the frames that it hands out, and may have come to those of another size.
        if (decoder.width, decoder.height) == (self._frame.width, self._frame.height):
            self._aspect = decoder.sample_aspect_ratio
        if first:
            self._first_aspect = self._aspect
        return True

    @property
    def fills_up(self) -> bool:
        """Whether the decoder filled lost parts of this frame up from those before."""
        return self._frame is not None and self._frame.is_corrupt

    def _decode(self) -> Iterator[av.VideoFrame]:
        """Yields the frames; damaged packets are skipped, as players do."""
        packets = self._container.demux(self._stream)
        failures = 0
        while failures < _MOST_FAILURES:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                yield from packet.decode()
            except IndexError:
                # A packet of a stream that begins midway, which PyAV does not know: it ends, and the rest is asked for.
                packets = self._container.demux(self._stream)
            except self._errors:
                failures += 1
                self.damaged = True

    def retrieve(self) -> tuple[bool, Image | None]:
        """Returns True and the frame, H x W x 3, BGR, uint8; (False, None) for one that cannot be converted."""
        if self._frame is None:
            return False, None
        try:
            return True, np.ascontiguousarray(self._frame.to_ndarray(format="bgr24"), np.uint8)
        except (*self._errors, ValueError):
            return False, None

    def get(self, which: int) -> float:
        """Returns what ``cv2.VideoCapture.get`` would."""
        if which in (cv2.CAP_PROP_SAR_NUM, cv2.CAP_PROP_SAR_DEN) and self._aspect not in (None, self._first_aspect):
            # The headers tell that of the first frame.
            assert self._aspect is not None
            return float(self._aspect.numerator if which == cv2.CAP_PROP_SAR_NUM else self._aspect.denominator)
        if which not in (cv2.CAP_PROP_POS_MSEC, getattr(cv2, "CAP_PROP_PTS", None)):
            return self._headers.get(which)
        if self._frame is None or self._frame.pts is None or self._stream.time_base is None:
            return math.nan
        if which == cv2.CAP_PROP_POS_MSEC:
            return float((self._frame.pts - self._start) * self._stream.time_base) * 1000
        # OpenCV counts in frames.
        return float(self._frame.pts * self._stream.time_base) * self._headers.get(cv2.CAP_PROP_FPS)

    def set(self, which: int, value: float) -> bool:
        """Returns False: nothing can be set."""
        return False

    def release(self) -> None:
        """Closes the file."""
        self._container.close()
        self._headers.release()
