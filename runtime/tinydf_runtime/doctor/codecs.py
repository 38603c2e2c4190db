"""What this machine decodes and writes, found by doing it: tiny samples for video, round trips for pictures."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from tinydf_runtime.io.capture import SAMPLES, open_source, opencv_converts_interlaced
from tinydf_runtime.io.opencv import quiet

_SAMPLES = {
    "H.264": "h264.mp4",
    "HEVC": "hevc.mp4",
    "VP9": "vp9.webm",
    "AV1": "av1.mp4",
    "MPEG-4": "mpeg4.mp4",
    "Motion JPEG": "mjpeg.avi",
}
_WRITTEN = {"H.264": ("avc1", ".mp4"), "MPEG-4": ("mp4v", ".mp4"), "Motion JPEG": ("MJPG", ".avi")}
_PICTURES = {
    "JPEG": ".jpg",
    "PNG": ".png",
    "WebP": ".webp",
    "AVIF": ".avif",
    "GIF": ".gif",
    "TIFF": ".tiff",
    "BMP": ".bmp",
}


@dataclass(frozen=True, slots=True)
class Codec:
    """A kind of video or picture.

    Attributes:
        name: As people call it.
        reads: What reads it: "opencv", "pyav", "pi-heif"; empty where nothing does.
        writes: Whether OpenCV writes it.
    """

    name: str
    reads: tuple[str, ...]
    writes: bool


def try_videos() -> tuple[Codec, ...]:
    """Returns what of each video codec works."""
    found = [
        Codec(name, _readers(SAMPLES / file), name in _WRITTEN and _writes(*_WRITTEN[name]))
        for name, file in _SAMPLES.items()
    ]
    readers = (*(("opencv",) if opencv_converts_interlaced() else ()), *(("pyav",) if find_spec("av") else ()))
    return (*found, Codec("interlaced H.264", readers, writes=False))


def try_pictures() -> tuple[Codec, ...]:
    """Returns what of each picture format works."""
    found = [_try_picture(name, ending) for name, ending in _PICTURES.items()]
    return (*found, Codec("HEIC", ("pi-heif",) if find_spec("pi_heif") else (), writes=False))


def _try_picture(name: str, ending: str) -> Codec:
    """Returns whether a picture comes back from OpenCV's encoder and decoder."""
    picture = np.full((16, 16, 3), 180, np.uint8)
    try:
        with quiet():
            written, content = cv2.imencode(ending, picture)
            read = cv2.imdecode(content, cv2.IMREAD_COLOR) if written else None
    except cv2.error:
        written, read = False, None
    return Codec(name, ("opencv",) if read is not None else (), bool(written))


def _readers(path: Path) -> tuple[str, ...]:
    """Returns what decodes a sample."""
    found: list[str] = []
    capture = open_source(str(path))
    with quiet():
        if capture.read()[0]:
            found.append("opencv")
        capture.release()
    if find_spec("av"):
        import av

        try:
            with av.open(str(path)) as container:
                if next(container.decode(video=0), None) is not None:
                    found.append("pyav")
        except (av.FFmpegError, ValueError):
            return tuple(found)
    return tuple(found)


def _writes(code: str, ending: str) -> bool:
    """Returns whether OpenCV writes a codec."""
    with tempfile.TemporaryDirectory() as folder, quiet():
        writer = cv2.VideoWriter(str(Path(folder, f"try{ending}")), cv2.VideoWriter.fourcc(*code), 25.0, (64, 64))
        opened = writer.isOpened()
        writer.release()
        return bool(opened)
