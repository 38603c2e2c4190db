"""Video file -> frames through PyAV (extra ``video``), for what this OpenCV cannot decode or convert.

And whether pictures of it are damaged: FFmpeg fills them up from those before, and OpenCV does not tell.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from fractions import Fraction
from importlib.util import find_spec
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


_STRICT = frozenset({"hevc"})
"""Codecs whose decoder marks no picture, and tells of some damage where it is asked to stop at it."""
_TELLING = (
    frozenset({"h264", "mpeg1video", "mpeg2video", "mpeg4", "msmpeg4v3", "wmv1", "wmv2", "h263", "flv1"}) | _STRICT
)
_ONE_EACH = frozenset({"h264", "hevc"})
"""Codecs of which each packet gives one picture, unless it is interlaced."""
_FEW_LOST, _SHARE_LOST = 8, 0.1
"""Packets that may give no picture: the first ones of a recording that begins midway, and what needs those."""
_MOST_PIXELS = 3840 * 2160
"""Of larger pictures a second decoder might take the memory that the first one needs."""
_LAST_PICTURES = 6
"""Damage in these says that the file was cut off, or a recording stopped there, which is told elsewhere."""


class DamageCheck:
    """Decodes a film beside its reader, packet by packet, without making pictures of it.

    Where PyAV is not installed, or for a codec that cannot tell, nothing is found.

    Attributes:
        path: The film.
    """

    def __init__(self, path: Path) -> None:
        """Opens nothing yet."""
        self.path = path
        self._places: list[int] = []
        self._pictures = self._sent = 0
        self._packets = self._walk()

    def step(self) -> None:
        """Decodes the next packet, if there is one."""
        next(self._packets, None)

    def found(self) -> bool:
        """Decodes the rest, and returns whether a picture before the last ones is damaged, or many gave none."""
        for _ in self._packets:
            pass
        lost = self._sent - self._pictures
        return lost > max(_FEW_LOST, _SHARE_LOST * self._sent) or any(
            place < self._pictures - _LAST_PICTURES for place in self._places
        )

    def close(self) -> None:
        """Closes the file."""
        self._packets.close()

    def _walk(self) -> Generator[None, None, None]:
        """Decodes the film; ends early where PyAV cannot open it."""
        if not find_spec("av"):
            return
        import av

        try:
            with readable_name(self.path) as name, av.open(f"file:{name}") as container:
                stream = container.streams.video[0]
                decoder = stream.codec_context
                if decoder.name not in _TELLING or decoder.width * decoder.height > _MOST_PIXELS:
                    return
                decoder.thread_count = 1
                # Smoothed edges take time and show no damage.
                decoder.options = {"skip_loop_filter": "all"} | (
                    {"err_detect": "explode"} if decoder.name in _STRICT else {}
                )
                packets = container.demux(stream)
                for _ in range(_MOST_FAILURES):
                    try:
                        for packet in packets:
                            counts = decoder.name in _ONE_EACH and packet.size > 0 and not packet.is_discard
                            self._sent += counts
                            for picture in packet.decode():
                                self._take(picture.is_corrupt)
                                # Each of its packets may be half a picture.
                                self._sent -= self._sent if picture.interlaced_frame else 0
                            yield
                        return
                    except (av.FFmpegError, EOFError):
                        self._note()
                        yield
        except (av.FFmpegError, EOFError, IndexError, OSError, ValueError, MemoryError):
            return

    def _take(self, damaged: bool) -> None:
        """Counts a picture. Before the first whole one a recording may have begun midway."""
        if damaged:
            self._note()
        if self._pictures or not damaged:
            self._pictures += 1

    def _note(self) -> None:
        """Notes damage at the place that was reached."""
        if self._pictures and len(self._places) < _MOST_FAILURES:
            self._places.append(self._pictures)
