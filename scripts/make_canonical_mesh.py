"""Makes tinydf/data/canonical_mesh.npz: the mean face mesh, its triangles, and which point mirrors which.

Run: python scripts/make_canonical_mesh.py --data FACES. FACES holds faces.csv and mesh478.npz, as
tinydf/data/face_mesh.py describes; the npz also holds ``triangles`` and ``oval``. The mean is over one collection, each
face brought onto the others by its best rotation, scale and shift (generalised Procrustes analysis, Gower 1975), and
made symmetric. A point's twin is the one nearest to it in the mirrored mean; the script stops if that is no pairing.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from tinydf.data.face_mesh import CANONICAL_PATH, INNER_LIPS, LEFT_EYE, MESH_NAME, REFUSED, RIGHT_EYE
from tinydf_runtime.io.files import write_atomically

IRISES = (468, 473)
ROUNDS = 10
Points = NDArray[np.float64]
Indices = NDArray[np.integer[Any]]


@click.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True, file_okay=False), required=True)
@click.option("--source", default="london", show_default=True, help="The collection whose faces are averaged.")
def main(data: Path, source: str) -> None:
    with (data / "faces.csv").open(newline="", encoding="utf-8") as lines:
        wanted = [row["file"] for row in csv.DictReader(lines) if row["source"] == source]
    with np.load(data / MESH_NAME) as stored:
        chosen = np.isin(stored["name"], wanted) & (stored["points"][:, 0, 0] != REFUSED)
        meshes = stored["points"][chosen].astype(np.float64)
        skin, oval = stored["triangles"], stored["oval"].astype(np.int16)
    mean = _mean_of(meshes)
    mirror = _twins(mean)
    symmetric: Points = (mean + mean[mirror] * (-1, 1, 1)) / 2
    mouth = _filling(INNER_LIPS)

    def clockwise(triangles: Indices) -> Indices:
        edges = symmetric[triangles[:, 1:]] - symmetric[triangles[:, :1]]
        turned = np.cross(edges[:, 0], edges[:, 1])[:, 2] < 0
        return np.where(turned[:, None], triangles[:, ::-1], triangles).astype(np.int16)

    write_atomically(
        CANONICAL_PATH,
        lambda file: np.savez_compressed(
            file,
            points=symmetric.astype(np.float32).round(4),
            triangles=clockwise(np.concatenate((skin, _filling(RIGHT_EYE), _filling(LEFT_EYE), mouth))),
            mouth=clockwise(mouth),
            oval=oval,
            mirror=mirror.astype(np.int16),
        ),
    )
    middle = int((mirror == np.arange(len(mirror))).sum())
    click.echo(f"{CANONICAL_PATH}: mean of {len(meshes)} meshes; {middle} points on the midline")


def _mean_of(meshes: Points) -> Points:
    """Returns the mean face, upright, irises at y = 0 and a distance of 1, the midline at x = 0."""
    mean = meshes[0]
    for _ in range(ROUNDS):
        mean = _upright(np.mean([_aligned(mesh, mean) for mesh in meshes], axis=0))
    return np.asarray(mean)


def _aligned(mesh: Points, onto: Points) -> Points:
    """Returns the mesh under the rotation, scale and shift that bring it nearest to another (Umeyama, 1991)."""
    centred, goal = mesh - mesh.mean(axis=0), onto - onto.mean(axis=0)
    left, sizes, right = np.linalg.svd(centred.T @ goal)
    flip = np.array((1, 1, np.sign(np.linalg.det(left @ right))))
    scale = (sizes * flip).sum() / (centred**2).sum()
    return np.asarray(scale * centred @ (left * flip) @ right + onto.mean(axis=0))


def _upright(mesh: Points) -> Points:
    """Levels the eyes and turns the face to the camera: of all meshes, the mean alone needs it."""
    for first, second in ((0, 1), (0, 2)):
        across = mesh[IRISES[1]] - mesh[IRISES[0]]
        angle = np.arctan2(across[second], across[first])
        turn = np.eye(3)
        turn[first, first] = turn[second, second] = np.cos(angle)
        turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
        mesh = mesh @ turn
    eyes = mesh[list(IRISES)]
    return np.asarray((mesh - eyes.mean(axis=0)) / (eyes[1, 0] - eyes[0, 0]))


def _filling(ring: tuple[int, ...]) -> Indices:
    """Returns triangles between the lower and the upper half of a ring that starts at one corner, lower half first."""
    half = len(ring) // 2
    lower, upper = ring[: half + 1], (ring[0], *ring[:half:-1], ring[half])
    quads = zip(lower, lower[1:], upper, upper[1:], strict=False)
    triangles = [corners for a, b, c, d in quads for corners in ((a, b, d), (a, d, c))]
    return np.array([corners for corners in triangles if len(set(corners)) == 3])


def _twins(mean: Points) -> NDArray[np.intp]:
    distances = np.linalg.norm(mean[:, None] * (-1, 1, 1) - mean[None], axis=2)
    twins = distances.argmin(axis=1)
    if (twins[twins] != np.arange(len(mean))).any():
        raise click.ClickException("the mirrored mean does not pair the points: average more frontal faces.")
    return np.asarray(twins)


if __name__ == "__main__":
    main()
