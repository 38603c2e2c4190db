"""Short clips and pictures for measuring scans: many files of the same picture, each with bytes of its own."""

from __future__ import annotations

from pathlib import Path

import cv2

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "clip.mp4"


def write_clips(folder: Path, count: int, frames: int, width: int) -> None:
    """Writes clips that start like the example clip; a box that players pass over makes each content another.

    Args:
        folder: Where to; it is made.
        count: How many.
        frames: Length of each.
        width: Of the picture, in pixels.
    """
    folder.mkdir(parents=True, exist_ok=True)
    first = folder / "clip00000.mp4"
    capture = cv2.VideoCapture(str(EXAMPLE))
    writer: cv2.VideoWriter | None = None
    for _ in range(frames):
        good, image = capture.read()
        if not good:
            break
        image = cv2.resize(image, (width, round(image.shape[0] * width / image.shape[1] / 2) * 2))
        if writer is None:
            size = (image.shape[1], image.shape[0])
            writer = cv2.VideoWriter(str(first), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), 25.0, size)
        writer.write(image)
    assert writer is not None
    writer.release()
    content = first.read_bytes()
    for number in range(count):
        (folder / f"clip{number:05d}.mp4").write_bytes(content + _free_box(number))


def write_pictures(folder: Path, count: int) -> None:
    """Writes pictures of the example clip's first frame, with bytes after their end that make each content another."""
    folder.mkdir(parents=True, exist_ok=True)
    good, image = cv2.VideoCapture(str(EXAMPLE)).read()
    assert good
    content = cv2.imencode(".jpg", image)[1].tobytes()
    for number in range(count):
        (folder / f"picture{number:05d}.jpg").write_bytes(content + number.to_bytes(8, "big"))


def _free_box(number: int) -> bytes:
    """Returns 16 bytes of free space as ISO/IEC 14496-12 has it, numbered."""
    return (16).to_bytes(4, "big") + b"free" + number.to_bytes(8, "big")
