from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest

from tinydf_runtime.types import Image

FRAMES = 20


def write_clip(path: Path, frames: Iterable[Image]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    writer: cv2.VideoWriter | None = None
    for frame in frames:
        if writer is None:
            size = (frame.shape[1], frame.shape[0])
            writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), 25.0, size)
        writer.write(frame)
    assert writer is not None
    writer.release()
    return path


@pytest.fixture(scope="session")
def face_frames(astronaut: Image) -> list[Image]:
    """A face that moves two pixels a frame, 256 x 256 BGR."""
    return [np.ascontiguousarray(astronaut[10:266, 60 + 2 * step : 316 + 2 * step]) for step in range(FRAMES)]


@pytest.fixture(scope="session")
def face_video(tmp_path_factory: pytest.TempPathFactory, face_frames: list[Image]) -> Path:
    """The moving face, 20 frames at 25 fps. Tests copy it."""
    return write_clip(tmp_path_factory.mktemp("clips") / "face.mp4", face_frames)


@pytest.fixture(scope="session")
def empty_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A grey wall, 20 frames at 25 fps."""
    wall = np.full((96, 96, 3), 120, np.uint8)
    return write_clip(tmp_path_factory.mktemp("clips") / "empty.mp4", [wall] * FRAMES)


@pytest.fixture(scope="session")
def make_clip() -> Callable[[Path, Iterable[Image]], Path]:
    """Writes BGR frames of one size to a path as MPEG-4, 25 a second, and makes its folder."""
    return write_clip
