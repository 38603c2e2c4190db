"""The face mesh: 478 points in the topology of MediaPipe's face mesh (Apache-2.0), its file, and its groups of points.

A data folder may hold ``mesh478.npz`` beside its table: ``name`` (N, file as in the table) and ``points`` (N x 478 x 3,
int16, x, y and depth in 1/64 px of the photo, -32768 where the fit was refused). ``canonical_mesh.npz``, made by
``scripts/make_canonical_mesh.py``, is the mean face of the Face Research Lab London Set (DeBruine & Jones, 2017, CC BY
4.0) in that topology.
"""

from __future__ import annotations

import zipfile
from functools import cache
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tinydf_runtime.errors import UnreadableInputError

Mesh: TypeAlias = NDArray[np.float32]
"""478 x 3, pixels: x right, y down, depth away from the camera."""

MESH_NAME = "mesh478.npz"
CANONICAL_PATH = Path(__file__).with_name("canonical_mesh.npz")
MESH_POINTS = 478
UNITS_PER_PX = 64
REFUSED = np.iinfo(np.int16).min

# Rings run around; right = the person's.
RIGHT_EYE = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
LEFT_EYE = (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)
RIGHT_BROW = (70, 63, 105, 66, 107, 55, 65, 52, 53, 46)
LEFT_BROW = (300, 293, 334, 296, 336, 285, 295, 282, 283, 276)
NOSE = (168, 122, 174, 198, 49, 48, 64, 98, 97, 2, 326, 327, 294, 278, 279, 420, 399, 351)
OUTER_LIPS = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
INNER_LIPS = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191)
NOSE_TIP, NOSE_BASE = 1, 2
MOUTH_CORNERS = (61, 291)


class CanonicalMesh(NamedTuple):
    """The mean face.

    Attributes:
        points: 478 x 3, float32, the distance of the irises is 1; symmetric about x = 0.
        triangles: T x 3, int16, indices of points, clockwise as the camera sees them: skin, then what fills eyes and
            mouth.
        mouth: The last of the triangles, between the lips.
        oval: 36, int16, the ring around the face.
        mirror: 478, int16: which point each becomes in a mirrored picture.
    """

    points: Mesh
    triangles: NDArray[np.int16]
    mouth: NDArray[np.int16]
    oval: NDArray[np.int16]
    mirror: NDArray[np.int16]


@cache
def canonical_mesh() -> CanonicalMesh:
    """Reads the mean face that comes with the package, once a process."""
    with np.load(CANONICAL_PATH) as stored:
        return CanonicalMesh(*(stored[name] for name in CanonicalMesh._fields))


def five_of(points: Mesh | NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the five landmarks of a mesh, 5 x its dimensions: centres of the eyes, nose tip, mouth corners."""
    eyes = [points[list(ring)].mean(axis=0) for ring in (RIGHT_EYE, LEFT_EYE)]
    return np.array([*eyes, points[NOSE_TIP], *points[list(MOUTH_CORNERS)]], dtype=np.float64)


def read_meshes(folder: Path) -> dict[str, Mesh]:
    """Returns the meshes of a data folder by the photo's file; none where it has no ``mesh478.npz``.

    Raises:
        UnreadableInputError: The file is damaged or holds something else.
    """
    path = folder / MESH_NAME
    if not path.is_file():
        return {}
    try:
        with np.load(path) as stored:
            names, points = stored["name"], stored["points"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UnreadableInputError(
            f"{path}: cannot be read ({error}). Make it again with scripts/fit_meshes.py."
        ) from error
    if points.shape != (len(names), MESH_POINTS, 3) or points.dtype != np.int16:
        raise UnreadableInputError(
            f"{path}: points are {points.dtype} {points.shape}, expected int16 {(len(names), MESH_POINTS, 3)}. "
            "Make it again with scripts/fit_meshes.py."
        )
    fitted = points[:, 0, 0] != REFUSED
    meshes = points[fitted].astype(np.float32) / UNITS_PER_PX
    return dict(zip(names[fitted].tolist(), meshes, strict=True))
