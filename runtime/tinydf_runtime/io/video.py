"""File, camera or stream -> upright frames with true time stamps."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Literal

import cv2
import numpy as np

from tinydf_runtime.errors import UnavailableError, UnreadableInputError, UsageError
from tinydf_runtime.io.address import mask_credentials, stream_address
from tinydf_runtime.io.animation import AnimationCapture
from tinydf_runtime.io.av_capture import AvCapture
from tinydf_runtime.io.capture import Capture, open_file, open_source
from tinydf_runtime.io.containers.container import Container
from tinydf_runtime.io.containers.more_films import has_more_films
from tinydf_runtime.io.containers.packets import has_hole
from tinydf_runtime.io.decoder_log import DecoderLog
from tinydf_runtime.io.filters import (
    has_few_colours,
    is_interlaced,
    keep_one_field,
    make_square,
    opencv_tone_maps,
    pixel_aspect,
    square_size,
    tone_map,
)
from tinydf_runtime.io.opencv import quiet
from tinydf_runtime.io.pages import has_unread_pictures
from tinydf_runtime.types import Adjustment, Frame, Image, Reason

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".qt", ".mj2", ".mkv", ".mk3d", ".webm", ".avi", ".divx", ".mpg", ".mpeg", ".mpe", ".vob"}
    | {".ts", ".mts", ".m2ts", ".m2t", ".trp", ".wmv", ".asf", ".wtv", ".flv", ".f4v", ".3gp", ".3g2", ".ogv", ".ogm"}
    | {".gif", ".mxf", ".gxf", ".dv", ".y4m", ".nut", ".rm", ".rmvb", ".amv", ".ivf", ".m1v", ".m2v", ".mjpeg", ".mjpg"}
    | {".h264", ".264", ".avc", ".hevc", ".h265", ".265", ".obu"}
)
"""Endings by which a folder's files count as videos; a file that is named is read whatever its name ends in."""

_UPRIGHT = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}
_USUAL_FPS = 25.0
_FEW_FAILURES, _MOST_FAILURES = 8, 4096
"""Consecutive failed packets after which a file counts as ended: with all promised frames decoded, and without."""

_LAST_PICTURES = 6
"""Damage in these says that a recording was stopped there."""

# Matroska rounds time stamps to a millisecond, so a frame may seem to come that much before its place.
_TIME_ROUNDING_S = 0.001

# Combing is visible only in motion and costs more to detect than faces; after 8 clean frames every 4th is checked.
_CLEAN_ROW, _CLEAN_STEP = 8, 4


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What is known of a video before its frames are read.

    Attributes:
        width: Pixels of the upright picture.
        height: Pixels of the upright picture.
        fps: Frames a second on average, None where unknown.
        duration_s: None where unknown.
        rotation_deg: How far the stored pictures were turned clockwise to stand upright: 0, 90, 180 or 270.
        frames_expected: Frames that the file promises, None where it gives no count to trust.
    """

    width: int
    height: int
    fps: float | None
    duration_s: float | None
    rotation_deg: int
    frames_expected: int | None


class VideoReader:
    """Reads the frames of a file, camera or network stream once, in order.

    Attributes:
        kind: "video" for a file, "stream" for a camera or address.
        live: True for a stream without an end; False for a file, on a web server too.
        info: See ``VideoInfo``.
        frames_decoded: Frames decoded so far, those that sampling skipped included.
        last_s: Time stamp of the last decoded frame.
        adjustments: What was done to the pictures seen so far, beside turning them upright.
        truncated: True when all frames were read and the file had promised clearly more.
        caveats: Reasons not to rely on the pictures seen so far.
    """

    def __init__(
        self, source: Path | int | str, sample_fps: float | None = None, log: DecoderLog | None = None
    ) -> None:
        """Opens a source.

        Args:
            source: File, camera number, or an address that starts with rtsp://, rtsps://, http:// or https://.
            sample_fps: Frames wanted a second; others are decoded but not converted. None for all.
            log: Of this process, where it does nothing but decode this file; without it, pictures that the decoder
                filled up from those before are not told.

        Raises:
            UsageError: ``sample_fps`` is not above 0.
            UnreadableInputError: The file is missing, empty or holds no video.
            UnavailableError: The camera or stream cannot be opened.
        """
        if sample_fps is not None and not sample_fps > 0:
            raise UsageError(f"sample_fps: found {sample_fps}, expected a number above 0, or None for every frame.")
        self.frames_decoded: int = 0
        self.truncated: bool = False
        self.caveats: tuple[Reason, ...] = ()
        self.kind: Literal["video", "stream"] = "video"
        self._source = source
        self._sample_fps = sample_fps
        self._log = log
        self._damaged_at: int | None = None
        self._threads = 0
        self._container = Container()
        self.last_s: float = 0.0
        self._opened_s = time.monotonic()
        self._first_waits = False
        address = stream_address(source)
        self.live: bool = address is not None
        if address is not None:
            self.kind = "stream"
            self._capture: Capture = open_source(address)
            if not self._capture.isOpened() and (elsewhere := _redirected(source, self._opened_s)) is not None:
                self._capture = open_source(elsewhere)
            if not self._capture.isOpened():
                shown = mask_credentials(source)
                raise UnavailableError(f"{shown}: camera or stream cannot be opened. Check its number or address.")
            is_web = str(source).startswith(("http://", "https://"))
            self.live = not (is_web and self._capture.get(cv2.CAP_PROP_FRAME_COUNT) > 0)
        else:
            self._capture, self._container = open_file(Path(str(source)))
            self._first_waits = True
            self._threads = round(self._capture.get(cv2.CAP_PROP_N_THREADS))
        info, self._count = self._read_info()
        self.info: VideoInfo = info
        if (self._container.videos or 1) > 1:
            self._note("more_tracks")
        if self._container.resizes:
            self._note("size_changes")
        self._size: tuple[int, ...] = ()
        self._of_palette = not self.live
        self._last_slot = -1
        self._clean_frames = 0
        self._start_s = 0.0
        as_opencv = isinstance(self._capture, cv2.VideoCapture)
        self._tone_maps = self._container.hdr and not (as_opencv and opencv_tone_maps())
        # OpenCV without tone mapping converts every picture as BT.601.
        self._as_bt601 = as_opencv
        self.adjustments: tuple[Adjustment, ...] = ("tone_mapped",) if self._container.hdr else ()

    def __enter__(self) -> VideoReader:
        """Returns itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the source."""
        self.close()

    def close(self) -> None:
        """Closes the source."""
        self._capture.release()

    def __iter__(self) -> Iterator[Frame]:
        """Yields the wanted frames; time stamps rise from one to the next.

        Raises:
            UnreadableInputError: Not one frame could be decoded.
            UnavailableError: The same, for a camera or stream.
        """
        decodable = False
        while (frame := self._next_wanted()) is not None:
            decodable = True
            yield frame
        if not decodable:
            if self.kind == "stream":
                shown = mask_credentials(self._source)
                raise UnavailableError(f"{shown}: delivers no pictures. Check the camera or address.")
            raise UnreadableInputError(f"{self._source}: no frame could be decoded. Check that the file plays.")
        self.truncated = self._ended_early()
        self._conclude()

    def _next_wanted(self) -> Frame | None:
        """Returns the next frame that sampling wants, None at the end."""
        with quiet():
            while self._first_waits or self._grab():
                self._first_waits = False
                index = self.frames_decoded
                self._watch_for_damage()
                self.frames_decoded += 1
                time_s = self._time_s(index)
                if index == 0:
                    self._start_s = self._late_start_s()
                slot = math.floor((time_s + _TIME_ROUNDING_S) * self._sample_fps) if self._sample_fps else index
                if slot > self._last_slot and (image := self._retrieve()) is not None:
                    self._last_slot = slot
                    return Frame(index, time_s, image)
        return None

    def _grab(self) -> bool:
        """Decodes the next frame; False at the end. Damaged packets are skipped, as players do."""
        if self._capture.grab():
            return True
        if self.kind == "stream" or not isinstance(self._capture, cv2.VideoCapture):
            return False
        promised = self._count > self.frames_decoded
        for _ in range(_MOST_FAILURES if promised else _FEW_FAILURES):
            if self._capture.grab():
                self._note("damaged_part")
                return True
        return False

    def _watch_for_damage(self) -> None:
        """Notes damage of which the decoder told, once it is clear that it lies before the film's end."""
        if isinstance(self._capture, AvCapture):
            told, ahead = self._capture.fills_up, 0
        else:
            # Each thread decodes a picture ahead, and tells of it before that is its turn.
            told, ahead = self._log is not None and self._log.tells_damage(), self._threads
        # A recording that begins midway lacks what its first pictures need.
        if told and self.frames_decoded and self._damaged_at is None:
            self._damaged_at = self.frames_decoded
        if self._damaged_at is not None and self.frames_decoded > self._damaged_at + ahead + _LAST_PICTURES:
            self._note("damaged_part")

    def _note(self, caveat: Reason) -> None:
        """Notes a reason not to rely on the pictures."""
        if caveat not in self.caveats:
            self.caveats += (caveat,)

    def _adjust(self, adjustment: Adjustment) -> None:
        """Notes what was done to pictures."""
        if adjustment not in self.adjustments:
            self.adjustments += (adjustment,)

    def _read_info(self) -> tuple[VideoInfo, int]:
        """Returns the facts about the source, and the frame count that OpenCV gives, 0 for none."""
        capture = self._capture
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
        width, height = round(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), round(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        width, height = square_size(width, height, self._aspect())
        # OpenCV takes a mirrored picture for one that is turned by some other angle.
        turned = self._container.rotation_deg if self._container.mirrored else None
        rotation_deg = round(capture.get(cv2.CAP_PROP_ORIENTATION_META) if turned is None else turned) % 360
        rotation_deg = rotation_deg if rotation_deg in _UPRIGHT else 0
        if rotation_deg in (90, 270):
            width, height = height, width
        fps: float | None = capture.get(cv2.CAP_PROP_FPS)
        fps = fps if fps and math.isfinite(fps) and fps > 0 else None
        count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        count = round(count) if not self.live and math.isfinite(count) and 0 < count < 1 << 40 else 0
        container = self._container
        duration_s = container.duration_s or (count / fps if count and fps else None)
        promised = container.cut_off and container.tells_length
        expected = count if container.lists_frames or promised else 0
        return VideoInfo(width, height, fps, duration_s, rotation_deg, expected or None), count

    def _retrieve(self) -> Image | None:
        """Converts the decoded frame to what a viewer sees; None for one that cannot be converted."""
        found, image = self._capture.retrieve()
        if not found or image is None:
            return None
        picture: Image = np.asarray(image, np.uint8)
        self._of_palette = self._of_palette and has_few_colours(picture)
        if self._size not in ((), picture.shape):
            self._adjust("resized_midway")
        self._size = picture.shape
        if not self._of_palette and self._checks_interlacing() and is_interlaced(picture):
            picture = keep_one_field(picture)
            self._clean_frames = 0
            self._adjust("deinterlaced")
        if self._tone_maps:
            picture = tone_map(picture, self._container.transfer or 0, self._as_bt601)
        if (aspect := self._aspect()) != 1:
            picture = make_square(picture, aspect)
            self._adjust("square_pixels")
        if self.info.rotation_deg:
            picture = np.asarray(cv2.rotate(picture, _UPRIGHT[self.info.rotation_deg]), np.uint8)
        return np.asarray(cv2.flip(picture, 1), np.uint8) if self._container.mirrored else picture

    def _aspect(self) -> float:
        """Returns the width of a stored pixel as a share of its height."""
        return pixel_aspect(self._capture.get(cv2.CAP_PROP_SAR_NUM), self._capture.get(cv2.CAP_PROP_SAR_DEN))

    def _checks_interlacing(self) -> bool:
        """Returns whether to check for interlacing: in files only, and less often after a run of clean frames."""
        self._clean_frames += 1
        return not self.live and (self._clean_frames <= _CLEAN_ROW or self._clean_frames % _CLEAN_STEP == 0)

    def _time_s(self, index: int) -> float:
        """Returns when the decoded frame is shown, always later than the one before."""
        # Time stamps of cameras and live servers are inconsistent; a clock is not.
        clock_s = time.monotonic() - self._opened_s
        time_s = clock_s if self.live else self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        time_s = max(time_s, 0.0) if math.isfinite(time_s) else 0.0
        if index and time_s <= self.last_s:
            time_s = self.last_s + 1 / (self.info.fps or _USUAL_FPS)
        self.last_s = time_s
        return time_s

    def _late_start_s(self) -> float:
        """Returns how long after the container's start the first picture is shown, 0 where OpenCV does not say."""
        stamp = self._capture.get(getattr(cv2, "CAP_PROP_PTS", -1)) / (self.info.fps or _USUAL_FPS)
        return stamp if math.isfinite(stamp) and stamp > 0 else 0.0

    def _conclude(self) -> None:
        """Notes caveats that are known only at the end of the file."""
        if self._of_palette and self._size:
            self._note("few_colours")
        if isinstance(self._capture, AvCapture) and self._capture.damaged:
            self._note("damaged_part")
        if self.kind == "video" and has_hole(Path(str(self._source)), self._container.cut_off):
            self._note("damaged_part")
        if self.kind == "video" and has_more_films(Path(str(self._source))):
            self._note("more_tracks")
        if isinstance(self._capture, AnimationCapture) and has_unread_pictures(Path(str(self._source))):
            self._note("more_tracks")
        promised = self._capture.promised if isinstance(self._capture, AnimationCapture) else 0
        if self.frames_decoded < max(promised, self._container.least_pictures):
            self._note("damaged_part")
        if self.truncated and (self.info.frames_expected or 0) <= self.frames_decoded:
            # The count is of the remaining frames, not of all.
            self.info = replace(self.info, frames_expected=None)
        frame_s = 1 / (self.info.fps or _USUAL_FPS)
        if not self.live and self.info.duration_s is not None and self.last_s > self.info.duration_s + frame_s:
            # The decoded frames are the better evidence than the header.
            self.info = replace(self.info, duration_s=self.last_s + frame_s)

    def _ended_early(self) -> bool:
        """Returns whether clearly fewer frames came than the file promised."""
        missing = self._count - self.frames_decoded
        if self._container.lists_frames:
            return missing > max(2, 0.02 * self._count)
        if self._container.cut_off:
            return True
        if self.info.duration_s is None or missing <= max(2, 0.02 * self._count):
            return False
        # Here the count is a guess, duration x frame rate, and too high where the rate varies, sound outlasts the
        # pictures or leading pictures are hidden. Only pictures that stop well before the end say something.
        frame_s = 1 / (self.info.fps or _USUAL_FPS)
        if self._container.duration_s:
            return self.info.duration_s - self.last_s > max(3 * frame_s, 0.02 * self.info.duration_s)
        return self.info.duration_s - self._start_s - self.last_s > max(2.0, 0.1 * self.info.duration_s)


def _redirected(source: Path | int | str, began_s: float) -> str | None:
    """Returns where an address that cannot be opened leads, None where nowhere.

    Raises:
        UnavailableError: It leads to a forbidden address.
    """
    # Not needed for files and cameras.
    from tinydf_runtime.io.redirects import redirected

    return redirected(str(source), began_s)
