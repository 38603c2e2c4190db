"""A table of scenes (``scenes.csv``: pictures of the world with few or no faces) -> photos with doubts and mistakes."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinydf.facedetector.photos import ROW_LENGTH, Photo
from tinydf_runtime.errors import UnreadableInputError

# In training, a labeller's box below this score is background where nobody was seen on the picture.
LEAST_DOUBT = 0.45
# Between .6 and .7 one label in seven is the back of a head or a hand in these sources.
UNSURE_SOURCES = frozenset({"hardhat", "ccp", "18f", "sign"})
SURE_SCORE = 0.7
# Few pictures, poor labels or drawings of one kind: drawn less often than their number says.
SOURCE_WEIGHTS = {"sign": 0.25, "clipicons": 0.25}


def read_scenes(folder: Path, split: str, least_doubt: float = 0.0) -> list[Photo]:
    """Returns the scenes of one split in the order of the table.

    Args:
        folder: Holds ``scenes.csv`` (columns file, source, split, width, height, kind, faces, ignore, own_false) and
            the files it names.
        split: ``train``, ``val`` or ``test``.
        least_doubt: Labeller's score from which a place on a picture without people is in doubt.

    Raises:
        UnreadableInputError: The table or a picture is missing, or the split is empty.
    """
    table = folder / "scenes.csv"
    try:
        with table.open(newline="", encoding="utf-8") as lines:
            scenes = [_scene(row, folder, least_doubt) for row in csv.DictReader(lines) if row["split"] == split]
    except OSError as error:
        raise UnreadableInputError(f"{error.filename}: {error.strerror}. Expected a folder with scenes.csv.") from error
    except (KeyError, ValueError) as error:
        raise UnreadableInputError(f"{table}: not the expected table ({error}). See the help of --scenes.") from error
    if not scenes:
        raise UnreadableInputError(f"{table}: no scene of split {split!r}.")
    return scenes


def _scene(row: dict[str, str], folder: Path, least_doubt: float) -> Photo:
    faces = _rows(row["faces"], ROW_LENGTH)
    ignored = _rows(row["ignore"], 5)
    if row["kind"] != "people":
        ignored = ignored[ignored[:, 4] >= least_doubt]
    unsure = faces[:, 14] < (SURE_SCORE if row["source"] in UNSURE_SOURCES else 0.0)
    return Photo(
        name=row["file"],
        encoded=(folder / row["file"]).read_bytes(),
        width=int(row["width"]),
        height=int(row["height"]),
        source=row["source"],
        faces=faces[~unsure],
        doubtful=np.concatenate((ignored[:, :4], faces[unsure, :4])),
        mistaken=_rows(row["own_false"], 5)[:, :4],
    )


def _rows(cell: str, length: int) -> NDArray[np.float32]:
    return np.array(json.loads(cell), np.float32).reshape(-1, length)
