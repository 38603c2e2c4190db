"""A folder of real photos with ``faces.csv`` -> the list that training and evaluation read."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from tinydf_runtime.errors import UnreadableInputError
from tinydf_runtime.types import BoxXYXY, Face

MANIFEST_NAME = "faces.csv"
Split: TypeAlias = Literal["train", "val", "test"]
COLUMNS = ("file", "source", "identity", "split", "faces")


@dataclass(frozen=True, slots=True)
class Photo:
    """One unaltered photo.

    Attributes:
        path: The image file.
        source: The collection that it comes from; never a label.
        identity: The person; no identity is in two splits.
        faces: The faces in it, the main one first.
    """

    path: Path
    source: str
    identity: str
    faces: tuple[Face, ...]


def read_photos(folder: Path, split: Split) -> list[Photo]:
    """Reads the photos of one split that show at least one face.

    ``faces.csv`` has a row a photo with at least the columns file, source, identity, split and faces, where faces is a
    JSON list with an entry a face: x, y, width, height, then five points x, y in the order of ``Face.landmarks``, then
    the detector's score.

    Raises:
        UnreadableInputError: The manifest is missing, lacks a column, or puts one identity into two splits.
    """
    manifest = folder / MANIFEST_NAME
    try:
        with manifest.open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
    except OSError as error:
        raise UnreadableInputError(
            f"{manifest}: {error.strerror or error}. --data expects a folder with photos and a {MANIFEST_NAME}."
        ) from error
    missing = [name for name in COLUMNS if not rows or name not in rows[0]]
    if missing:
        raise UnreadableInputError(f"{manifest}: no column {', '.join(missing)}. Expected {', '.join(COLUMNS)}.")
    _refuse_leaks(manifest, rows)
    photos = [_photo(folder, row) for row in rows if row["split"] == split]
    return [photo for photo in photos if photo.faces]


def _photo(folder: Path, row: dict[str, str]) -> Photo:
    try:
        faces = tuple(_face(values) for values in json.loads(row["faces"]))
    except (ValueError, TypeError) as error:
        raise UnreadableInputError(
            f"{folder / MANIFEST_NAME}: {row['file']}: faces cannot be read ({error}). Expected x, y, width, height, "
            "five points and a score each."
        ) from error
    return Photo(folder / row["file"], row["source"], row["identity"], faces)


def _face(values: list[float]) -> Face:
    if len(values) != 15:
        raise ValueError(f"{len(values)} numbers")
    x, y, width, height, *points, score = values
    box: BoxXYXY = (x, y, x + width, y + height)
    return Face(box, tuple(zip(points[::2], points[1::2], strict=True)), score)


def _refuse_leaks(manifest: Path, rows: list[dict[str, str]]) -> None:
    split_of: dict[str, str] = {}
    for row in rows:
        if row["split"] not in get_args(Split):
            raise UnreadableInputError(f"{manifest}: split {row['split']!r}, expected one of {get_args(Split)}.")
        if split_of.setdefault(row["identity"], row["split"]) != row["split"]:
            raise UnreadableInputError(
                f"{manifest}: identity {row['identity']} is in {split_of[row['identity']]} and in {row['split']}. "
                "Put every photo of a person into one split."
            )
