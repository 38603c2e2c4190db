"""Pictures from the user's own decoder -> frames, sampled and checked."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import chain
from types import TracebackType

import numpy as np

from tinydf_runtime.errors import UnreadableInputError, UsageError
from tinydf_runtime.io.video import VideoInfo
from tinydf_runtime.types import Adjustment, Frame, Image, Reason

# As in VideoReader: containers round time stamps, so a frame may seem to come that much before its place.
_TIME_ROUNDING_S = 0.001


class OwnFrames:
    """Reads the user's pictures once, in order; a ``FrameReader``.

    Attributes:
        info: See ``VideoInfo``; the length is not known.
        frames_decoded: Pictures taken so far, those that sampling skipped included.
        truncated: False; only the user knows whether there should have been more.
        adjustments: Empty, as is the next: another decoder made the pictures.
        caveats: Reasons not to rely on them.
    """

    def __init__(self, frames: Iterable[Frame | Image], fps: float | None, sample_fps: float | None) -> None:
        """Takes the first picture.

        Args:
            frames: Upright pictures, H x W x 3, BGR, uint8, or frames that bring their own times.
            fps: Pictures a second, which gives plain pictures their times.
            sample_fps: Frames wanted a second, None for all.

        Raises:
            UsageError: ``frames`` gives something else, or plain pictures without ``fps``.
            UnreadableInputError: There is no picture.
        """
        if fps is not None and not (fps > 0 and math.isfinite(fps)):
            raise UsageError(f"fps: found {fps}, expected a number above 0.")
        if isinstance(frames, str | bytes) or not isinstance(frames, Iterable):
            raise UsageError(
                f"frames: found {type(frames).__name__}, expected pictures or frames to iterate over. "
                "Give a path to analyze."
            )
        self.frames_decoded: int = 0
        self.truncated: bool = False
        self.adjustments: tuple[Adjustment, ...] = ()
        self.caveats: tuple[Reason, ...] = ()
        self._fps = fps
        self._sample_fps = sample_fps
        items = iter(frames)
        try:
            first = next(items)
        except StopIteration:
            raise UnreadableInputError("frames: none were given. Check that the decoder gives pictures.") from None
        height, width = self._frame(0, first).image.shape[:2]
        self.info: VideoInfo = VideoInfo(width, height, fps, None, 0, None)
        self._items = chain([first], items)

    def __enter__(self) -> OwnFrames:
        """Returns itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Does nothing: the caller closes the source of the frames."""

    def __iter__(self) -> Iterator[Frame]:
        """Yields copies of the wanted frames.

        Raises:
            UsageError: Something else than a picture comes, or a frame is not later than the one before.
        """
        last_slot, last_s = -1, -math.inf
        for index, item in enumerate(self._items):
            self.frames_decoded += 1
            frame = self._frame(index, item)
            if not last_s < frame.time_s < math.inf:
                raise UsageError(f"frames: found {frame.time_s} s after {last_s} s, expected times that rise.")
            last_s = frame.time_s
            slot = math.floor((last_s + _TIME_ROUNDING_S) * self._sample_fps) if self._sample_fps else index
            if slot > last_slot:
                last_slot = slot
                # Many decoders write the next picture into the same memory while this one is in use.
                yield Frame(frame.index, last_s, frame.image.copy())

    def _frame(self, index: int, item: Frame | Image) -> Frame:
        """Returns what was given as a frame.

        Raises:
            UsageError: It is no picture, or has no time.
        """
        image = checked_image(item.image if isinstance(item, Frame) else item, "frames")
        if isinstance(item, Frame):
            return item
        if self._fps is None:
            raise UsageError("fps: found None, expected the pictures a second. Only a Frame brings its own time.")
        return Frame(index, index / self._fps, image)


def checked_image(image: Image, name: str) -> Image:
    """Accepts an H x W x 3 uint8 picture.

    Args:
        image: What was given.
        name: The argument that it was given as.

    Raises:
        UsageError: It is anything else.
    """
    if (
        not isinstance(image, np.ndarray)
        or image.dtype != np.uint8
        or image.ndim != 3
        or image.shape[2] != 3
        or not image.size
    ):
        found = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise UsageError(f"{name}: found {found}, expected H x W x 3 of uint8 in BGR.")
    return image
