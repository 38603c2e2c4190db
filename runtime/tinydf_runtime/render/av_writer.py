"""Pictures with times -> H.264 video with the source's sound, through PyAV (extra ``video``)."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from tinydf_runtime.errors import OutputError, needs
from tinydf_runtime.render.av_sound import Sound
from tinydf_runtime.render.even_size import fit_picture
from tinydf_runtime.types import Image

if TYPE_CHECKING:
    import av

_ENCODERS = {"libx264": {"crf": "18", "preset": "veryfast"}, "libopenh264": {}, "mpeg4": {"qscale": "3"}}
"""Encoder -> options; the first one that is there is used."""
_TICKS = 60000
"""Ticks a second: every usual frame rate is a whole or half number of them, and MPEG-4 takes no finer ones."""
_BT601, _LIMITED = 6, 1
"""SMPTE 170M and limited range, as ITU-T H.273 and FFmpeg number them."""


class AvWriter:
    """Writes a video with PyAV; see ``video_writer.VideoWriter``. Memory does not grow with its length."""

    def __init__(self, path: Path, source: Path, fps: float, size: tuple[int, int]) -> None:
        """Opens the file.

        Args:
            path: File to write.
            source: File whose sound is kept.
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
        self._sound = Sound(source, self._out, path.suffix)

    def write(self, time_s: float, image: Image) -> None:
        """Encodes a picture and what sounds until then.

        Raises:
            OutputError: The disk is full, or the like.
        """
        shown_s = time_s + self._sound.pictures_start_s
        planes = cv2.cvtColor(fit_picture(image, self._size), cv2.COLOR_BGR2YUV_I420)
        frame = self._av.VideoFrame.from_ndarray(np.asarray(planes, np.uint8), format="yuv420p")
        self._last_tick = max(self._last_tick + 1, round(shown_s * _TICKS))
        frame.pts, frame.time_base = self._last_tick, Fraction(1, _TICKS)
        try:
            self._out.mux(self._sound.packets(shown_s))
            self._out.mux(self._video.encode(frame))
        except self._av.FFmpegError as error:
            raise self._failed(error) from error

    def finish(self) -> str | None:
        """Completes the file; returns what it lacks.

        Raises:
            OutputError: The disk is full, or the like.
        """
        try:
            self._out.mux(self._video.encode(None))
            self._out.mux(self._sound.packets(None))
            self._out.close()
        except self._av.FFmpegError as error:
            raise self._failed(error) from error
        return self._sound.note

    def close(self) -> None:
        """Closes both files."""
        self._sound.close()
        # Where writing failed, closing fails once more, and that error is being raised already.
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
        # As OpenCV converts: BT.601, limited range. Without a word players would take HD pictures for BT.709.
        context.colorspace, context.color_range = _BT601, _LIMITED
        return stream

    def _failed(self, error: Exception) -> OutputError:
        """Returns what to say when writing fails."""
        reason = getattr(error, "strerror", None) or error
        return OutputError(f"{self._path}: could not be written ({reason}). Check folder, permissions and free space.")
