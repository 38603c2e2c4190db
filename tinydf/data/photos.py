"""A folder of faces -> the list that training and evaluation read: ``faces.parquet``, or ``faces.csv`` for photos."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import numpy as np

from tinydf.data.face_mesh import Mesh, read_meshes
from tinydf.data.geometry import FaceGeometry
from tinydf.data.manifest import PARQUET_NAME, FaceRow, Label, Split, read_table
from tinydf_runtime.errors import UnreadableInputError
from tinydf_runtime.types import BoxXYXY, Face

CSV_NAME = "faces.csv"
COLUMNS = ("file", "source", "identity", "split", "faces")


@dataclass(frozen=True, slots=True)
class Photo:
    """One picture of a face: an unaltered photo, or what was cut out of a video's frame, real or forged.

    Attributes:
        path: The image file.
        source: The collection that it comes from; never a label.
        identities: Whose faces went into it; no identity is in two splits.
        faces: The faces in it, the main one first.
        grey: Whether it is monochrome: a forgery's colour would give it away in a way that video never does.
        label: Whether the main face is forged.
        method: How; ``real`` for real ones.
        compression: As the set's owners call it.
        video: The video that it is from, unique within source, method and compression.
        mesh: Face mesh of the main face in pixels of the photo, see ``face_mesh.py``; None where none was fitted.
    """

    path: Path
    source: str
    identities: tuple[str, ...]
    faces: tuple[Face, ...]
    grey: bool = False
    label: Label = "real"
    method: str = "real"
    compression: str = ""
    video: str = ""
    mesh: Mesh | None = field(default=None, compare=False)

    def geometry(self) -> FaceGeometry:
        """Returns the shape of the main face, in pixels of the photo."""
        return FaceGeometry(np.array(self.faces[0].landmarks), self.mesh)


def find_table(folder: Path) -> Path:
    """Returns the path of a folder's table, ``faces.parquet`` if there is one; whether it exists is not checked."""
    return folder / (PARQUET_NAME if (folder / PARQUET_NAME).is_file() else CSV_NAME)


def read_photos(folder: Path, split: Split) -> list[Photo]:
    """Reads the pictures of one split that show at least one face.

    A folder that ``tinydf-prepare`` made holds ``faces.parquet``. A folder of real photos may hold ``faces.csv``
    instead: a row a photo with at least the columns file, source, identity, split and faces, where faces is a JSON list
    with an entry a face: x, y, width, height, then five points x, y in the order of ``Face.landmarks``, then the
    detector's score. A column grey, if there is one, says 1 for monochrome. Beside ``faces.csv`` there may be face
    meshes, see ``face_mesh.py``.

    Raises:
        UnreadableInputError: The table is missing, lacks a column, or puts one identity into two splits; or the meshes
            cannot be read.
    """
    table = find_table(folder)
    if table.name == PARQUET_NAME:
        rows = list(read_table(folder))
        _refuse_leaks(table, ((f"{row.source}/{name}", row.split) for row in rows for name in row.identities))
        return [_picture(folder, row) for row in rows if row.split == split]
    return _read_csv(folder, split)


def _picture(folder: Path, row: FaceRow) -> Photo:
    left, top, right, bottom = row.box_xyxy
    landmarks = tuple(zip(row.landmarks[::2], row.landmarks[1::2], strict=True))
    return Photo(
        folder / row.file,
        row.source,
        row.identities,
        (Face((left, top, right, bottom), landmarks, row.detection_score),),
        label=row.label,
        method=row.method,
        compression=row.compression,
        video=row.video,
    )


def _read_csv(folder: Path, split: Split) -> list[Photo]:
    path = folder / CSV_NAME
    try:
        with path.open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
    except OSError as error:
        raise UnreadableInputError(
            f"{folder}: no {PARQUET_NAME} and no {CSV_NAME} ({error.strerror or error}). --data expects a folder that "
            "tinydf-prepare made, or photos with a table."
        ) from error
    missing = [name for name in COLUMNS if not rows or name not in rows[0]]
    if missing:
        raise UnreadableInputError(f"{path}: no column {', '.join(missing)}. Expected {', '.join(COLUMNS)}.")
    for row in rows:
        if row["split"] not in get_args(Split):
            raise UnreadableInputError(f"{path}: split {row['split']!r}, expected one of {get_args(Split)}.")
    _refuse_leaks(path, ((row["identity"], row["split"]) for row in rows))
    meshes = read_meshes(folder)
    photos = [_photo(folder, row, meshes.get(row["file"])) for row in rows if row["split"] == split]
    return [photo for photo in photos if photo.faces]


def _photo(folder: Path, row: dict[str, str], mesh: Mesh | None) -> Photo:
    try:
        faces = tuple(_face(values) for values in json.loads(row["faces"]))
    except (ValueError, TypeError) as error:
        raise UnreadableInputError(
            f"{folder / CSV_NAME}: {row['file']}: faces cannot be read ({error}). Expected x, y, width, height, "
            "five points and a score each."
        ) from error
    return Photo(
        folder / row["file"],
        row["source"],
        (row["identity"],),
        faces,
        row.get("grey") == "1",
        video=row["file"],
        mesh=mesh,
    )


def _face(values: list[float]) -> Face:
    if len(values) != 15:
        raise ValueError(f"{len(values)} numbers")
    x, y, width, height, *points, score = values
    box: BoxXYXY = (x, y, x + width, y + height)
    return Face(box, tuple(zip(points[::2], points[1::2], strict=True)), score)


def _refuse_leaks(path: Path, splits_of_identities: Iterable[tuple[str, str]]) -> None:
    seen: dict[str, str] = {}
    for identity, split in splits_of_identities:
        if seen.setdefault(identity, split) != split:
            raise UnreadableInputError(
                f"{path}: identity {identity} is in {seen[identity]} and in {split}. "
                "Put every picture of a person into one split."
            )
