"""Record of one prepared clip, written after its pictures, so that an interrupted run can resume."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from tinydf_runtime.errors import OutputError
from tinydf_runtime.io.files import write_atomically

SCHEMA = "tinydf.part/1"
PartStatus: TypeAlias = Literal["ok", "truncated", "no_face", "unreadable"]


@dataclass(frozen=True, slots=True)
class StoredFace:
    """Facts about one stored picture that do not depend on the set: part of a ``FaceRow``.

    Attributes:
        file: Relative to the folder of the table, with forward slashes.
        frame: Index in the video.
        time_s: In the video.
        track: The person.
        box_xyxy: In pixels of the picture.
        landmarks: 10 numbers, as in ``FaceRow``.
        detection_score: 0..1.
        sharpness: As in ``FaceRow``.
        sha256: Of the file that the face was cut from.
    """

    file: str
    frame: int
    time_s: float
    track: int
    box_xyxy: tuple[float, ...]
    landmarks: tuple[float, ...]
    detection_score: float
    sharpness: float
    sha256: str


@dataclass(frozen=True, slots=True)
class Part:
    """What one clip gave.

    Attributes:
        size: Bytes of the clip's file, or pictures of its folder: another size is another clip.
        status: ``truncated`` where only a part of it could be read.
        reason: One line, empty where all went well.
        faces: In order of track and frame.
    """

    size: int
    status: PartStatus
    reason: str
    faces: tuple[StoredFace, ...]


def write_part(path: Path, part: Part) -> None:
    """Writes a record whole or not at all, and makes its folder.

    Raises:
        OutputError: It cannot be written.
    """
    make_folder(path.parent)
    write_atomically(path, json.dumps({"schema": SCHEMA, **asdict(part)}).encode())


def read_part(path: Path) -> Part | None:
    """Returns a record; None if it is missing or unreadable, and the clip is prepared again."""
    try:
        values = json.loads(path.read_bytes())
        if values.pop("schema") != SCHEMA:
            return None
        values["faces"] = tuple(_face(face) for face in values["faces"])
        return Part(**values)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def make_folder(folder: Path) -> None:
    """Makes a folder with those above it.

    Raises:
        OutputError: It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be made ({error.strerror or error}). Check folder, permissions and free space."
        ) from error


def write_file(path: Path, content: bytes) -> None:
    """Writes a file that only counts once its record is written, and makes its folder.

    Raises:
        OutputError: It cannot be written.
    """
    make_folder(path.parent)
    try:
        path.write_bytes(content)
    except OSError as error:
        raise OutputError(
            f"{path}: could not be written ({error.strerror or error}). Check folder, permissions and free space."
        ) from error


def _face(values: dict[str, Any]) -> StoredFace:
    return StoredFace(**values | {name: tuple(values[name]) for name in ("box_xyxy", "landmarks")})
