"""A tiny table of photos with one real face each, cut out of scikit-image's astronaut."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from tinydf.facedetector.photos import Photo, read_photos
from tinydf.facedetector.scenes import read_scenes
from tinydf_runtime.types import Image

# Box (x, y, width, height), five points and a score, as the table's labeller gives them, in pixels of the whole photo.
FACE = [176.0, 72.0, 88.0, 130.0, 196.0, 118.0, 239.0, 113.0, 221.0, 145.0, 205.0, 169.0, 242.0, 165.0, 0.95]


@pytest.fixture(scope="session")
def faces_folder(astronaut: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``faces.csv``: three splits of six photos from two sources."""
    folder = tmp_path_factory.mktemp("faces")
    rng = np.random.default_rng(0)
    with (folder / "faces.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, ["file", "source", "split", "width", "height", "faces"])
        table.writeheader()
        for split in ("train", "val", "test"):
            for index in range(6):
                left, top = rng.integers(0, 100), rng.integers(0, 40)
                name = f"{split}-{index}.jpg"
                cv2.imwrite(str(folder / name), np.ascontiguousarray(astronaut[top : top + 300, left : left + 300]))
                face = np.array(FACE)
                face[[0, 4, 6, 8, 10, 12]] -= left
                face[[1, 5, 7, 9, 11, 13]] -= top
                faces = json.dumps([face.tolist()])
                source = "even" if index % 2 == 0 else "odd"
                row = {"file": name, "source": source, "split": split, "width": 300, "height": 300, "faces": faces}
                table.writerow(row)
    return folder


@pytest.fixture(scope="session")
def photos(faces_folder: Path) -> list[Photo]:
    """The six photos of the training split."""
    return read_photos(faces_folder, "train")


@pytest.fixture(scope="session")
def scenes_folder(astronaut: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``scenes.csv``: in each split a scene with the face and one without, where a detector was wrong."""
    folder = tmp_path_factory.mktemp("scenes")
    columns = ["file", "source", "split", "width", "height", "kind", "faces", "ignore", "own_false"]
    with (folder / "scenes.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, columns)
        table.writeheader()
        for split in ("train", "val", "test"):
            cv2.imwrite(str(folder / f"{split}-people.png"), np.ascontiguousarray(astronaut[:360, :480]))
            cv2.imwrite(str(folder / f"{split}-none.png"), np.ascontiguousarray(astronaut[300:500, 200:500]))
            unsure = [*FACE[:14], 0.65]
            for name, kind, faces, ignored, wrong in (
                ("people", "people", [FACE], [[300.0, 10.0, 30.0, 40.0, 0.35]], []),
                ("none", "negative", [unsure], [[20.0, 10.0, 30.0, 40.0, 0.35]], [[100.0, 60.0, 50.0, 60.0, 0.8]]),
            ):
                row = {"file": f"{split}-{name}.png", "source": "ccp", "split": split, "kind": kind}
                row |= {"width": "480", "height": "360"} if faces == [FACE] else {"width": "300", "height": "200"}
                labels = {"faces": faces, "ignore": ignored, "own_false": wrong}
                table.writerow(row | {key: json.dumps(value) for key, value in labels.items()})
    return folder


@pytest.fixture(scope="session")
def scenes(scenes_folder: Path) -> list[Photo]:
    """The two scenes of the training split."""
    return read_scenes(scenes_folder, "train")
