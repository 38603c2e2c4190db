"""Fits face meshes to the photos of a folder, which training draws forgeries with; writes mesh478.npz.

Run in an environment of its own, since MediaPipe asks for an older numpy than this project:

    pip install --no-deps mediapipe==0.10.21
    pip install "numpy<2" "protobuf<5" absl-py attrs flatbuffers matplotlib opencv-python-headless click
    PYTHONPATH=.:runtime python scripts/fit_meshes.py --data FACES --out FACES/mesh478.npz

The models (Apache-2.0) are in the wheel; nothing is downloaded. A fit whose eyes and mouth lie too far from the points
in faces.csv is refused: it is of another face, or of none. ``--merge`` adds the meshes of a file made before, which is
faster than fitting again. tinydf/data/face_mesh.py describes the file. Only training reads it.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import cv2
import mediapipe
import numpy as np
from numpy.typing import NDArray

from tinydf.data.face_mesh import MESH_POINTS, REFUSED, UNITS_PER_PX, Mesh, five_of
from tinydf_runtime.faces.crop import CropConfig, crop_face
from tinydf_runtime.io.files import write_atomically
from tinydf_runtime.types import Image

MARGINS = (0.25, 0.1, 0.4)
"""Surround that the fit sees, as a share of the box's longer side: the first that leads to a fit. Too little cuts the
head, too much shows the mirrored face beyond the photo's edge."""
WINDOW_PX = 384
MOST_MISS = 0.25
"""Mean distance of eyes and mouth corners to the table's points, in distances of the eyes, above which a fit fails."""


@click.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True, file_okay=False), required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--source", multiple=True, help="Collections to fit; default: all.")
@click.option("--merge", type=click.Path(path_type=Path, exists=True), multiple=True, help="Files to take meshes from.")
@click.option("--limit", type=click.IntRange(1), help="Fit so many photos, the first ones.")
def main(data: Path, out: Path, source: Sequence[str], merge: Sequence[Path], limit: int | None) -> None:
    points: dict[str, NDArray[np.int16]] = {}
    for path in merge:
        with np.load(path) as stored:
            points.update(zip(stored["name"].tolist(), stored["points"], strict=True))
    with (data / "faces.csv").open(newline="", encoding="utf-8") as lines:
        rows = [row for row in csv.DictReader(lines) if not source or row["source"] in source]
    wanted = [row for row in rows if row["file"] not in points and json.loads(row["faces"])][:limit]
    misses = []
    with (
        mediapipe.solutions.face_mesh.FaceMesh(
            static_image_mode=True, max_num_faces=1, refine_landmarks=True, min_detection_confidence=0.3
        ) as fitter,
        click.progressbar(wanted, label="Fitting") as bar,
    ):
        for row in bar:
            miss, points[row["file"]] = _fit(fitter, data / row["file"], json.loads(row["faces"])[0])
            misses.append(miss)
    names = sorted(points)
    write_atomically(
        out,
        lambda file: np.savez_compressed(file, name=np.array(names), points=np.stack([points[name] for name in names])),
    )
    kept = np.array(misses) <= MOST_MISS
    if misses:
        click.echo(
            f"{len(misses)} photos fitted, {int((~kept).sum())} refused; median distance of eyes and mouth corners to "
            f"the table's points: {np.median(np.array(misses)[kept]):.3f} of the eyes' distance"
        )
    click.echo(f"{out}: {len(names)} photos")


def _fit(fitter: Any, path: Path, face: Sequence[float]) -> tuple[float, NDArray[np.int16]]:
    """Returns how far a mesh misses the table's points, in distances of the eyes, and the mesh or refusals."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    landmarks = np.array(face[4:14]).reshape(5, 2)
    for margin in MARGINS if image is not None else ():
        mesh = _mesh_at(fitter, np.asarray(image, np.uint8), face, margin)
        if mesh is None:
            continue
        misses = np.linalg.norm(five_of(mesh)[:, :2] - landmarks, axis=1)[[0, 1, 3, 4]]
        miss = float(misses.mean() / np.linalg.norm(landmarks[1] - landmarks[0]))
        if miss <= MOST_MISS and np.abs(mesh).max() * UNITS_PER_PX < np.iinfo(np.int16).max:
            return miss, (mesh * UNITS_PER_PX).round().astype(np.int16)
    return np.inf, np.full((MESH_POINTS, 3), REFUSED, np.int16)


def _mesh_at(fitter: Any, image: Image, face: Sequence[float], margin: float) -> Mesh | None:
    """Returns the mesh of the face in a window around its box, in pixels of the photo."""
    left, top, width, height = face[:4]
    window = crop_face(image, (left, top, left + width, top + height), CropConfig(WINDOW_PX, margin))
    found = fitter.process(np.ascontiguousarray(window[..., ::-1])).multi_face_landmarks
    if not found:
        return None
    side = max(width, height) * (1 + 2 * margin)
    corner = (left + width / 2 - side / 2, top + height / 2 - side / 2, 0)
    points = np.array([(point.x, point.y, point.z) for point in found[0].landmark])
    return (points * side + corner).astype(np.float32)


if __name__ == "__main__":
    main()
