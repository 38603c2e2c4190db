"""Pictures with times -> video file: with the source's sound where PyAV or an ffmpeg command is there."""

from __future__ import annotations

import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import cv2

from tinydf_runtime.errors import OutputError, install_line
from tinydf_runtime.io.containers.container import read_container
from tinydf_runtime.io.files import temporary_file
from tinydf_runtime.io.opencv import quiet
from tinydf_runtime.render.av_writer import AvWriter
from tinydf_runtime.render.even_size import even_size, fit_picture
from tinydf_runtime.types import Image

CODECS = {".mp4": "mp4v", ".mov": "mp4v", ".m4v": "mp4v", ".mkv": "mp4v", ".avi": "MJPG"}
"""Ending of a video -> code of a codec that every OpenCV wheel can write."""

_NO_SOUND = f"the drawn video has no sound. For that, install PyAV, in the clone of TinyDF: {install_line('video')}"
_AVI_NOTE = "an .avi is drawn without sound. Choose .mp4 or .mkv to keep it."
_USUAL_FPS = 25.0
_ONE_SECOND_FPS = 240.0


class VideoWriter(Protocol):
    """Writes a video picture by picture. Closed unfinished, what it wrote is no video."""

    def write(self, time_s: float, image: Image) -> None:
        """Adds a picture to be shown from a time on."""

    def finish(self) -> str | None:
        """Completes the file and returns what it lacks, None where nothing is lost."""

    def close(self) -> None:
        """Closes the file."""


def open_writer(path: Path, source: Path, fps: float | None, size: tuple[int, int]) -> VideoWriter:
    """Opens the best writer at hand: PyAV (H.264, sound, true times), else OpenCV, with ffmpeg for the sound.

    Args:
        path: File to write, ending in one of ``CODECS``.
        source: File whose sound is kept.
        fps: Pictures a second on average, None where unknown.
        size: Width and height in pixels.

    Raises:
        OutputError: The file cannot be opened for writing.
    """
    rate = min(max(fps or _USUAL_FPS, 1.0), _ONE_SECOND_FPS)
    # An .avi has no place for times.
    if path.suffix != ".avi" and find_spec("av"):
        return AvWriter(path, source, rate, even_size(size))
    return OpencvWriter(path, source, rate, even_size(size))


class OpencvWriter:
    """Writes with OpenCV at an even rate: a picture is repeated or left out where the source's rate varies."""

    def __init__(self, path: Path, source: Path, fps: float, size: tuple[int, int]) -> None:
        """Opens the file; see ``open_writer``."""
        self._path, self._source, self._fps, self._size = path, source, fps, size
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

    def finish(self) -> str | None:
        """Writes the last picture, makes sure that all are there, and adds the sound.

        Raises:
            OutputError: Not all are there; OpenCV tells of no error while writing.
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
        if self._path.suffix == ".avi":
            return _AVI_NOTE
        return None if add_sound(self._path, self._source) else _NO_SOUND

    def close(self) -> None:
        """Closes the file."""
        self._writer.release()

    def _fill(self, until: int) -> None:
        """Repeats the last picture up to a number of pictures."""
        while self._last is not None and self._written < until:
            with quiet():
                self._writer.write(self._last)
            self._written += 1


def add_sound(path: Path, source: Path) -> bool:
    """Puts the sound of ``source`` into a video, and its pictures into H.264, with an ``ffmpeg`` command.

    Returns:
        Whether that was possible; if not, the file is as it was.
    """
    command = shutil.which("ffmpeg")
    if command is None:
        return False
    inputs = ["-i", f"file:{path}", "-i", f"file:{source.absolute()}", "-map", "0:v:0", "-map", "1:a?"]
    pictures = ["-c:v", "libx264", "-crf", "18", "-preset", "veryfast", "-pix_fmt", "yuv420p"]
    with temporary_file(path, path.suffix) as complete:
        for choice in (pictures, ["-c:v", "copy"]):
            for sound in ("copy", "aac"):
                arguments = [*inputs, *choice, "-c:a", sound, "-movflags", "+faststart", f"file:{complete}"]
                done = subprocess.run(
                    [command, "-nostdin", "-v", "quiet", "-y", *arguments],
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    check=False,
                )
                if done.returncode == 0:
                    complete.replace(path)
                    return True
    return False
