"""Pictures with times -> video file without sound."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np

from tinydf_runtime.errors import OutputError, needs
from tinydf_runtime.io.containers.container import read_container
from tinydf_runtime.io.opencv import quiet
from tinydf_runtime.types import Image

if TYPE_CHECKING:
    import av

CODECS = {".mp4": "mp4v", ".mov": "mp4v", ".m4v": "mp4v", ".mkv": "mp4v", ".avi": "MJPG"}
"""Ending of a video -> code of a codec that every OpenCV wheel can write."""

_USUAL_FPS = 25.0
_ONE_SECOND_FPS = 240.0


class VideoWriter(Protocol):
    """Writes a video picture by picture. Closed before ``finish``, it leaves no valid video."""

    def write(self, time_s: float, image: Image) -> None:
        """Adds a picture to be shown from a time on."""

    def finish(self) -> None:
        """Completes the file."""

    def close(self) -> None:
        """Closes the file."""


def open_writer(path: Path, fps: float | None, size: tuple[int, int]) -> VideoWriter:
    """Opens the best writer at hand: PyAV (H.264, true times), else OpenCV.

    Args:
        path: File to write, ending in one of ``CODECS``.
        fps: Pictures a second on average, None where unknown.
        size: Width and height in pixels.

    Raises:
        OutputError: The file cannot be opened for writing.
    """
    rate = min(max(fps or _USUAL_FPS, 1.0), _ONE_SECOND_FPS)
    # AVI stores no time stamps.
    if path.suffix != ".avi" and find_spec("av"):
        return AvWriter(path, rate, even_size(size))
    return OpencvWriter(path, rate, even_size(size))


class OpencvWriter:
    """Writes with OpenCV at an even rate: a picture is repeated or left out where the source's rate varies."""

    def __init__(self, path: Path, fps: float, size: tuple[int, int]) -> None:
        """Opens the file; see ``open_writer``."""
        self._path, self._fps, self._size = path, fps, size
        self._written = 0
        self._last: Image | None = None
        with quiet():
            self._writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*CODECS[path.suffix]), fps, size)
        if not self._writer.isOpened():
            raise OutputError(f"{path}: OpenCV could not open it for writing. Check the folder and its permissions.")

    def write(self, time_s: float, image: Image) -> None:
        """Writes the picture before, as often as it is to be seen until ``time_s``."""
        self._fill(round(time_s * self._fps))
        self._last = fit_picture(image, self._size)

    def finish(self) -> None:
        """Writes the last picture, and checks the number of pictures.

        Raises:
            OutputError: Pictures are missing; OpenCV reports no errors while writing.
        """
        self._fill(self._written + 1)
        with quiet():
            self._writer.release()
            capture = cv2.VideoCapture(str(self._path))
            found = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
            capture.release()
        if found < self._written or self._written == 0 or read_container(self._path).cut_off:
            raise OutputError(
                f"{self._path}: only {found} of {self._written} frames could be written. Check the free space."
            )

    def close(self) -> None:
        """Closes the file."""
        self._writer.release()

    def _fill(self, until: int) -> None:
        """Repeats the last picture up to a number of pictures."""
        while self._last is not None and self._written < until:
            with quiet():
                self._writer.write(self._last)
            self._written += 1


_ENCODERS = {"libx264": {"crf": "18", "preset": "veryfast"}, "libopenh264": {}, "mpeg4": {"qscale": "3"}}
"""Encoder -> options; the first one available is used."""
_TICKS = 60000
"""Ticks a second: every usual frame rate is a whole or half number of them, and MPEG-4 takes no finer ones."""
_BT601, _LIMITED = 6, 1
"""SMPTE 170M and limited range, as ITU-T H.273 and FFmpeg number them."""


class AvWriter:
    """Writes a video with PyAV; see ``video_writer.VideoWriter``. Memory does not grow with its length."""

    def __init__(self, path: Path, fps: float, size: tuple[int, int]) -> None:
        """Opens the file.

        Args:
            path: File to write.
            fps: Pictures a second on average.
            size: Width and height in pixels, even.

        Raises:
            OutputError: It cannot be opened for writing.
        """
        with needs("video"):
            import av
        self._av = av
        self._path, self._size = path, size
        self._last_tick = -1
        try:
            options = {"movflags": "+faststart"} if path.suffix != ".mkv" else {}
            self._out = av.open(str(path), "w", options=options)
        except (av.FFmpegError, OSError) as error:
            raise self._failed(error) from error
        self._video = self._add_pictures(fps)

    def write(self, time_s: float, image: Image) -> None:
        """Encodes a picture.

        Raises:
            OutputError: The disk is full, or the like.
        """
        planes = cv2.cvtColor(fit_picture(image, self._size), cv2.COLOR_BGR2YUV_I420)
        frame = self._av.VideoFrame.from_ndarray(np.asarray(planes, np.uint8), format="yuv420p")
        self._last_tick = max(self._last_tick + 1, round(time_s * _TICKS))
        frame.pts, frame.time_base = self._last_tick, Fraction(1, _TICKS)
        try:
            self._out.mux(self._video.encode(frame))
        except self._av.FFmpegError as error:
            raise self._failed(error) from error

    def finish(self) -> None:
        """Completes the file.

        Raises:
            OutputError: The disk is full, or the like.
        """
        try:
            self._out.mux(self._video.encode(None))
            self._out.close()
        except self._av.FFmpegError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Closes the file."""
        # After a failed write closing fails too, and the first error is being raised already.
        with suppress(self._av.FFmpegError):
            self._out.close()

    def _add_pictures(self, fps: float) -> av.VideoStream:
        """Adds the stream of pictures, with the best encoder that PyAV brings along."""
        name = next(name for name in _ENCODERS if name in self._av.codecs_available)
        stream = self._out.add_stream(name, rate=Fraction(fps).limit_denominator(1001), options=dict(_ENCODERS[name]))
        assert isinstance(stream, self._av.VideoStream)
        stream.width, stream.height = self._size
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = Fraction(1, _TICKS)
        # As OpenCV converts: BT.601, limited range. Untagged, HD pictures would be taken for BT.709.
        context.colorspace, context.color_range = _BT601, _LIMITED
        return stream

    def _failed(self, error: Exception) -> OutputError:
        """Returns what to say when writing fails."""
        reason = getattr(error, "strerror", None) or error
        return OutputError(f"{self._path}: could not be written ({reason}). Check folder, permissions and free space.")


def even_size(size: tuple[int, int]) -> tuple[int, int]:
    """Returns width and height made even: codecs halve the colour planes and would drop a row or column."""
    width, height = size
    return width + width % 2, height + height % 2


def fit_picture(image: Image, size: tuple[int, int]) -> Image:
    """Brings a picture to the video's size: one repeated row or column, or scaled where a video changed its size."""
    width, height = size
    right, below = width - image.shape[1], height - image.shape[0]
    if right == 0 and below == 0:
        return image
    if right in (0, 1) and below in (0, 1):
        return np.asarray(cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE), np.uint8)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
