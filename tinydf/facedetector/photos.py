"""A table of photos (``faces.csv``) -> photos in memory, still compressed, with their faces."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tinydf_runtime.errors import UnreadableInputError
from tinydf_runtime.types import Image

# x, y, width, height, five points as x, y, score.
ROW_LENGTH = 15


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo with its labelled faces.

    Attributes:
        name: Path of the file in the data set.
        encoded: The file's bytes (JPEG or PNG).
        width: Pixels.
        height: Pixels.
        source: The collection it comes from.
        faces: F x 15, float32: box as x, y, width, height, then right eye, left eye, nose tip, right and left mouth
            corner as x, y, all in pixels, then the labeller's score.
        doubtful: D x 4, float32: boxes (x, y, width, height) of what may be a face; neither taught nor punished.
        mistaken: M x 4, float32: boxes (x, y, width, height) of what a detector took for a face, and is none.
    """

    name: str
    encoded: bytes
    width: int
    height: int
    source: str
    faces: NDArray[np.float32]
    doubtful: NDArray[np.float32]
    mistaken: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 4), np.float32))

    def decode(self, shrink: int = 1) -> Image:
        """Returns the picture, H x W x 3, BGR, uint8, its sides divided by ``shrink`` (1, 2, 4 or 8).

        Raises:
            UnreadableInputError: The bytes are no picture.
        """
        flags = {1: cv2.IMREAD_COLOR, 2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4}
        flag = flags.get(shrink, cv2.IMREAD_REDUCED_COLOR_8)
        image = cv2.imdecode(np.frombuffer(self.encoded, np.uint8), flag)
        if image is None:
            raise UnreadableInputError(f"{self.name}: no picture could be decoded. Check the file.")
        return image.astype(np.uint8, copy=False)


@dataclass(frozen=True, slots=True)
class Pictures:
    """What a run learns from, or is validated on.

    Attributes:
        photos: Portraits.
        scenes: Of the world; may be empty.
    """

    photos: list[Photo]
    scenes: list[Photo] = field(default_factory=list)


def read_photos(folder: Path, split: str) -> list[Photo]:
    """Returns the photos of one split in the order of the table.

    Args:
        folder: Holds ``faces.csv`` (columns file, source, split, width, height, faces) and the files it names.
        split: ``train``, ``val`` or ``test``.

    Raises:
        UnreadableInputError: The table or a photo is missing, or the split is empty.
    """
    table = folder / "faces.csv"
    photos = []
    try:
        with table.open(newline="", encoding="utf-8") as lines:
            for row in csv.DictReader(lines):
                if row["split"] != split:
                    continue
                faces = np.array(json.loads(row["faces"]), np.float32).reshape(-1, ROW_LENGTH)
                photos.append(
                    Photo(
                        name=row["file"],
                        encoded=(folder / row["file"]).read_bytes(),
                        width=int(row["width"]),
                        height=int(row["height"]),
                        source=row["source"],
                        faces=faces,
                        doubtful=np.zeros((0, 4), np.float32),
                    )
                )
    except OSError as error:
        raise UnreadableInputError(f"{error.filename}: {error.strerror}. Expected a folder with faces.csv.") from error
    except (KeyError, ValueError) as error:
        raise UnreadableInputError(f"{table}: not the expected table ({error}). See the help of --data.") from error
    if not photos:
        raise UnreadableInputError(f"{table}: no photo of split {split!r}.")
    return photos


def add_second_look(photos: list[Photo], found: dict[str, list[list[float]]], sure: float = 0.7) -> list[Photo]:
    """Returns the photos with the faces that a closer look found beside the listed ones.

    Args:
        photos: As read.
        found: By photo name: rows like those of ``Photo.faces``, none of them listed in the photo yet.
        sure: Score from which a row counts as a face; below it the place is doubtful.
    """
    result = []
    for photo in photos:
        rows = np.array(found.get(photo.name, []), np.float32).reshape(-1, ROW_LENGTH)
        certain = rows[:, 14] >= sure
        result.append(
            replace(
                photo,
                faces=np.concatenate((photo.faces, rows[certain])),
                doubtful=np.concatenate((photo.doubtful, rows[~certain][:, :4])),
            )
        )
    return result
