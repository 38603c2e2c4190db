"""File or address -> an open reader: OpenCV's FFmpeg, its image codecs for animations, or PyAV where these fail."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from tinydf_runtime.errors import UnreadableInputError, install_line
from tinydf_runtime.io.address import stream_address
from tinydf_runtime.io.animation import AnimationCapture, is_animated
from tinydf_runtime.io.av_capture import AvCapture
from tinydf_runtime.io.containers.container import Container, playlist_kind, read_container
from tinydf_runtime.io.containers.sizes import size_changes
from tinydf_runtime.io.files import check_file
from tinydf_runtime.io.filters import opencv_tone_maps
from tinydf_runtime.io.formats import refuse_foreign
from tinydf_runtime.io.jpeg_film import JpegCapture, is_jpeg_film, read_private_jpegs
from tinydf_runtime.io.opencv import quiet, readable_name

SAMPLES = Path(__file__).parent / "samples"
"""Tiny files, one a codec, that show what this machine can decode."""

STREAM_SETTINGS = [
    cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
    10_000,
    cv2.CAP_PROP_READ_TIMEOUT_MSEC,
    5_000,
    cv2.CAP_PROP_N_THREADS,
    1,
]
"""Timeouts far below FFmpeg's half minute, for servers that vanish. One thread, since each would delay a frame."""

_CODECS = {"AV01": "AV1", "av01": "AV1", "hevc": "HEVC", "hev1": "HEVC", "hvc1": "HEVC", "h264": "H.264", "VP90": "VP9"}
# FFmpeg renders any text file as a video of its letters.
_TEXT = "ansi"
_INTERLACED_CODECS = frozenset({"mpg2", "mpg1", "dvsd", "dvhd", "WVC1", "WMV3"})
_COMPARED_FRAMES = 12
_LAST_CAMERA = 999_999


class Capture(Protocol):
    """The part of ``cv2.VideoCapture`` that is used, and that its substitutes implement."""

    def isOpened(self) -> bool:  # noqa: N802
        """Returns whether there is something to read."""

    def grab(self) -> bool:
        """Decodes the next frame; False at the end."""

    def retrieve(self) -> tuple[bool, object]:
        """Returns whether there is one and the decoded frame, H x W x 3, BGR, uint8."""

    def get(self, which: int) -> float:
        """Returns a property."""

    def set(self, which: int, value: float) -> bool:
        """Sets a property and returns whether that is possible."""

    def release(self) -> None:
        """Closes the source."""


def open_file(path: Path) -> tuple[Capture, Container]:
    """Opens a video file and decodes its first frame, so that an unreadable file is reported at once.

    Returns:
        The reader, whose first frame waits for ``retrieve``, and what the file's headers say.

    Raises:
        UnreadableInputError: The file is missing, empty, encrypted, holds no video or none that can be decoded here, or
            is a playlist.
    """
    check_file(path)
    refuse_foreign(path)
    try:
        container, playlist = read_container(path), playlist_kind(path)
    except OSError as error:
        raise UnreadableInputError(f"{path}: {error.strerror or error}. Check the path and its permissions.") from error
    if playlist is not None:
        # A playlist's author decides what is opened: any file of this machine, any address.
        raise UnreadableInputError(f"{path}: is {playlist} playlist, which names other files. Give those themselves.")
    if container.only_sound:
        raise UnreadableInputError(_only_sound(path, container))
    if container.encrypted:
        raise UnreadableInputError(f"{path}: is encrypted, and its key is not known here. Decrypt it first.")
    capture = _open_frames(path, container)
    if container.may_resize and isinstance(capture, cv2.VideoCapture) and not find_spec("av") and size_changes(path):
        container = replace(container, resizes=True)
    with quiet():
        decoded = capture.grab()
    if not decoded and isinstance(capture, cv2.VideoCapture) and find_spec("av"):
        capture = AvCapture(path, capture)
        decoded = capture.grab()
    if not decoded:
        raise UnreadableInputError(_undecodable(path, capture, container))
    return capture, container


def open_source(source: int | str) -> cv2.VideoCapture:
    """Opens a source. Files and addresses go to FFmpeg where OpenCV has it: other backends ignore rotation."""
    if isinstance(source, int) and not 0 <= source <= _LAST_CAMERA:
        return cv2.VideoCapture()
    with quiet():
        use_ffmpeg = isinstance(source, str) and cv2.videoio_registry.hasBackend(cv2.CAP_FFMPEG)
        is_stream = use_ffmpeg and stream_address(source) is not None
        if is_stream:
            # Not needed for files.
            from tinydf_runtime.io.redirects import follow_none

            follow_none()
        settings = STREAM_SETTINGS if is_stream else []
        return cv2.VideoCapture(source, cv2.CAP_FFMPEG if use_ffmpeg else cv2.CAP_ANY, settings)


def open_named(path: Path) -> cv2.VideoCapture:
    """Opens a file, whatever its name looks like."""
    with readable_name(path) as name:
        return open_source(name)


def codec_of(capture: Capture) -> str:
    """Returns the FOURCC of the codec, as OpenCV tells it; four NUL letters where it does not."""
    return (int(capture.get(cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF).to_bytes(4, "little").decode("latin-1")


@lru_cache(maxsize=1)
def opencv_converts_interlaced() -> bool:
    """Returns whether this OpenCV converts frames that are marked as interlaced.

    From OpenCV 4.13 and FFmpeg 8 on it leaves whatever its memory held before in their place, and reports success.
    """
    capture = open_source(str(SAMPLES / "h264_interlaced.mp4"))
    with quiet():
        found, image = capture.read()
        capture.release()
    # The sample is an even grey.
    return bool(found) and bool((np.abs(np.asarray(image, np.int16) - 190) < 8).all())


def _open_frames(path: Path, container: Container) -> Capture:
    """Opens a file with what reads its kind."""
    if _needs_image_codec(path) or (container.untimed and hasattr(cv2, "imreadanimation")):
        return AnimationCapture(path)
    if is_jpeg_film(path):
        return JpegCapture(path)
    return _open_film(path, container)


def _only_sound(path: Path, container: Container) -> str:
    """Returns what to say of a file without video."""
    return f"{path}: no video stream found, only sound ({', '.join(container.sounds)}). Check that the file plays."


def _open_film(path: Path, container: Container) -> Capture:
    """Opens a file with FFmpeg.

    Raises:
        UnreadableInputError: It holds no video, or interlaced video that this OpenCV cannot convert.
    """
    capture = open_named(path)
    if not capture.isOpened() or not round(capture.get(cv2.CAP_PROP_FRAME_WIDTH)) or codec_of(capture) == _TEXT:
        if (pictures := read_private_jpegs(path)) is not None:
            return JpegCapture(path, pictures)
        if container.cut_off:
            found = "the file is cut off, and what is left cannot be played"
        else:
            found = "no video stream found"
        raise UnreadableInputError(f"{path}: {found}. Check that the file plays.")
    if container.hdr and opencv_tone_maps() and find_spec("av"):
        # OpenCV takes seconds to prepare that.
        return AvCapture(path, capture)
    if container.may_resize and find_spec("av") and size_changes(path):
        return AvCapture(path, capture)
    may_interlace = container.may_interlace or codec_of(capture) in _INTERLACED_CODECS
    if not may_interlace or opencv_converts_interlaced():
        return capture
    if find_spec("av"):
        return AvCapture(path, capture)
    if not _pictures_differ(path):
        raise UnreadableInputError(
            f"{path}: interlaced, which OpenCV {cv2.__version__} cannot convert. "
            f"Install PyAV, in the clone of TinyDF: {install_line('video')}"
        )
    return capture


def _pictures_differ(path: Path) -> bool:
    """Returns whether different frames decode to different pictures; stale memory always gives the same one."""
    capture = open_named(path)
    with quiet():
        _, first = capture.read()
        for _ in range(_COMPARED_FRAMES):
            found, image = capture.read()
            if found and not np.array_equal(np.asarray(first), np.asarray(image)):
                return True
    return False


def _needs_image_codec(path: Path) -> bool:
    """Returns whether a file is an animation that FFmpeg does not read; GIF it does."""
    with path.open("rb") as file:
        start = file.read(12)
    return not start.startswith(b"GIF8") and is_animated(path)


def _undecodable(path: Path, capture: Capture, container: Container) -> str:
    """Returns what to say of a file of which not one frame can be decoded."""
    if container.cut_off:
        return f"{path}: the file is cut off, and what is left cannot be played. Copy it again."
    codec = codec_of(capture)
    name = _CODECS.get(codec, codec.strip())
    if find_spec("av") or not name.isprintable():
        return f"{path}: no frame could be decoded. Check that the file plays."
    return (
        f"{path}: no frame could be decoded; this OpenCV may have no decoder for {name}. "
        f"Check that the file plays, and install PyAV, in the clone of TinyDF: {install_line('video')}"
    )
