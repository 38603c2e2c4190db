"""File, camera or stream -> upright frames with true time stamps; image file -> upright picture."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal

import cv2
import numpy as np

from tinydf_runtime.address import mask_credentials, stream_address
from tinydf_runtime.container import Container, read_container
from tinydf_runtime.errors import UnavailableError, UnreadableInputError, UsageError
from tinydf_runtime.types import Frame, Image

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".wmv", ".flv", ".3gp", ".ogv"}
)
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})

_IMAGE_STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\x00", b"MM\x00*")
_PNG_END = b"IEND\xaeB`\x82"

_UPRIGHT = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}
_USUAL_FPS = 25.0

# A server that is gone must not hold the reading up for FFmpeg's half minute. Threads would each keep a frame back.
_STREAM_SETTINGS = [
    cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
    10_000,
    cv2.CAP_PROP_READ_TIMEOUT_MSEC,
    5_000,
    cv2.CAP_PROP_N_THREADS,
    1,
]

# Matroska rounds time stamps to a millisecond, so a frame may seem to come that much before its place.
_TIME_ROUNDING_S = 0.001


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
        truncated: True when all frames were read and the file had promised clearly more.
    """

    def __init__(self, source: Path | int | str, sample_fps: float | None = None) -> None:
        """Opens a source.

        Args:
            source: File, camera number, or an address that starts with rtsp://, rtsps://, http:// or https://.
            sample_fps: Frames wanted a second; others are decoded but not converted. None for all.

        Raises:
            UsageError: ``sample_fps`` is not above 0.
            UnreadableInputError: The file is missing, empty or holds no video.
            UnavailableError: The camera or stream cannot be opened.
        """
        if sample_fps is not None and not sample_fps > 0:
            raise UsageError(f"sample_fps: found {sample_fps}, expected a number above 0, or None for every frame.")
        self.frames_decoded = 0
        self.truncated = False
        self.kind: Literal["video", "stream"] = "video"
        self._source = source
        self._sample_fps = sample_fps
        self._container = Container()
        self.last_s = 0.0
        self._opened_s = time.monotonic()
        address = stream_address(source)
        self.live = address is not None
        if address is not None:
            self.kind = "stream"
            self._capture = _open(address)
            if not self._capture.isOpened():
                shown = mask_credentials(source)
                raise UnavailableError(f"{shown}: camera or stream cannot be opened. Check its number or address.")
            is_web = str(source).startswith(("http://", "https://"))
            self.live = not (is_web and self._capture.get(cv2.CAP_PROP_FRAME_COUNT) > 0)
        else:
            path = Path(str(source))
            self._container = _check_file(path)
            self._capture = _open(str(path.absolute()))
        self.info, self._count = self._read_info()
        if self.kind == "video" and (not self._capture.isOpened() or not self.info.width):
            cause = "the file is cut off, and what is left cannot be played" if self._container.cut_off else ""
            raise UnreadableInputError(f"{source}: {cause or 'no video stream found'}. Check that the file plays.")

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
        last_slot, decodable = -1, False
        start_s = 0.0
        while self._grab():
            index = self.frames_decoded
            self.frames_decoded += 1
            time_s = self._time_s(index)
            if index == 0:
                start_s = self._start_s()
            slot = math.floor((time_s + _TIME_ROUNDING_S) * self._sample_fps) if self._sample_fps else index
            if slot <= last_slot:
                continue
            image = self._retrieve()
            if image is None:
                continue
            last_slot, decodable = slot, True
            yield Frame(index, time_s, image)
        if not decodable:
            if self.kind == "stream":
                shown = mask_credentials(self._source)
                raise UnavailableError(f"{shown}: delivers no pictures. Check the camera or address.")
            raise UnreadableInputError(f"{self._source}: no frame could be decoded. Check that the file plays.")
        self.truncated = self._ended_early(start_s)

    def _read_info(self) -> tuple[VideoInfo, int]:
        """Returns the facts about the source, and the frame count that OpenCV gives, 0 for none."""
        capture = self._capture
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
        width, height = round(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), round(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        rotation_deg = round(capture.get(cv2.CAP_PROP_ORIENTATION_META)) % 360
        rotation_deg = rotation_deg if rotation_deg in _UPRIGHT else 0
        if rotation_deg in (90, 270):
            width, height = height, width
        fps: float | None = capture.get(cv2.CAP_PROP_FPS)
        fps = fps if fps and math.isfinite(fps) and fps > 0 else None
        count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        count = round(count) if not self.live and math.isfinite(count) and 0 < count < 1 << 40 else 0
        container = self._container
        duration_s = container.duration_s or (count / fps if count and fps else None)
        expected = count if container.lists_frames or container.cut_off else 0
        return VideoInfo(width, height, fps, duration_s, rotation_deg, expected or None), count

    def _grab(self) -> bool:
        """Decodes the next frame without converting it."""
        with _quiet():
            return self._capture.grab()

    def _retrieve(self) -> Image | None:
        """Converts the decoded frame and turns it upright; None for one that cannot be converted."""
        with _quiet():
            found, image = self._capture.retrieve()
        if not found or image is None:
            return None
        if self.info.rotation_deg:
            image = cv2.rotate(image, _UPRIGHT[self.info.rotation_deg])
        return np.asarray(image, dtype=np.uint8)

    def _time_s(self, index: int) -> float:
        """Returns when the decoded frame is shown, always later than the one before."""
        # What cameras and live servers put into their time stamps differs; a clock does not.
        clock_s = time.monotonic() - self._opened_s
        time_s = clock_s if self.live else self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        time_s = max(time_s, 0.0) if math.isfinite(time_s) else 0.0
        if index and time_s <= self.last_s:
            time_s = self.last_s + 1 / (self.info.fps or _USUAL_FPS)
        self.last_s = time_s
        return time_s

    def _start_s(self) -> float:
        """Returns how long after the container's start the first picture is shown, 0 where OpenCV does not say."""
        stamp = self._capture.get(getattr(cv2, "CAP_PROP_PTS", -1)) / (self.info.fps or _USUAL_FPS)
        return stamp if math.isfinite(stamp) and stamp > 0 else 0.0

    def _ended_early(self, start_s: float) -> bool:
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
        return self.info.duration_s - start_s - self.last_s > max(2.0, 0.1 * self.info.duration_s)


def read_image(path: Path) -> Image:
    """Reads an image file, whatever its name ends in.

    Returns:
        H x W x 3, BGR, uint8, turned upright as its EXIF orientation says; transparency is dropped.

    Raises:
        UnreadableInputError: The file is missing, empty, cut off or no image.
    """
    path = Path(path)
    _check_file(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UnreadableInputError(f"{path}: {error.strerror or error}. Check the path and its permissions.") from error
    # libpng would write a line of its own to stderr.
    if content.startswith(b"\x89PNG") and _PNG_END not in content:
        raise UnreadableInputError(f"{path}: the image is cut off. Check that the file opens in a viewer.")
    try:
        with _quiet():
            image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        reason = str(error.err or error).strip().splitlines()[0]
        raise UnreadableInputError(f"{path}: cannot be decoded ({reason}). Check its size and format.") from error
    # OpenCV returns None when it knows no decoder or the file is damaged.
    if image is None:
        raise UnreadableInputError(f"{path}: no image that can be decoded. Check that the file opens in a viewer.")
    return np.asarray(image, dtype=np.uint8)


def is_image(path: Path) -> bool:
    """Returns whether to read a file as an image: its first bytes decide, then its ending.

    A photo that was named .mp4 is an image, a film named .jpg is none. A file that cannot be read goes by its ending.
    """
    try:
        with path.open("rb") as file:
            start = file.read(16)
    except OSError:
        start = b""
    if start.startswith(_IMAGE_STARTS) or (start[:4] == b"RIFF" and start[8:12] == b"WEBP"):
        return True
    is_video = start[4:8] in (b"ftyp", b"moov") or start.startswith(b"\x1a\x45\xdf\xa3") or start[8:12] == b"AVI "
    return not is_video and path.suffix.lower() in IMAGE_SUFFIXES


def _check_file(path: Path) -> Container:
    """Refuses what is no file with something in it, and reads its headers.

    Raises:
        UnreadableInputError: The file is missing, empty, a folder or may not be read.
    """
    try:
        if path.is_dir():
            raise UnreadableInputError(f"{path}: is a folder, expected a file. Name the files in it.")
        if not path.stat().st_size:
            raise UnreadableInputError(f"{path}: the file is empty. Copy it again.")
        return read_container(path)
    except UnreadableInputError:
        raise
    except OSError as error:
        raise UnreadableInputError(f"{path}: {error.strerror or error}. Check the path and its permissions.") from error


def _open(source: int | str) -> cv2.VideoCapture:
    """Opens a source. Files and addresses go to FFmpeg where OpenCV has it: others know no rotation."""
    with _quiet():
        use_ffmpeg = isinstance(source, str) and cv2.videoio_registry.hasBackend(cv2.CAP_FFMPEG)
        settings = _STREAM_SETTINGS if use_ffmpeg and stream_address(source) is not None else []
        return cv2.VideoCapture(source, cv2.CAP_FFMPEG if use_ffmpeg else cv2.CAP_ANY, settings)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps OpenCV and FFmpeg from writing to stderr, where our one line about a bad file would drown.

    FFmpeg reads its variable once, when OpenCV first uses it; a value that the user has set stays.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    # OpenCV 5 moved these two functions.
    logging = cv2 if hasattr(cv2, "setLogLevel") else cv2.utils.logging
    before = logging.getLogLevel()
    logging.setLogLevel(0)
    try:
        yield
    finally:
        logging.setLogLevel(before)
