"""Shape of a face: five landmarks, and a mesh where one was fitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinydf.data.face_mesh import MESH_POINTS, Mesh, canonical_mesh, five_of

RIGID = np.r_[0:MESH_POINTS:6]
"""Points that pose is measured by: few of them, spread over the face."""
PULL_UNITS = 0.35
"""How far a landmark pulls on the mean mesh that is laid over it, in distances of the irises."""


@dataclass(frozen=True, slots=True, eq=False)
class FaceGeometry:
    """Shape of a face in a picture.

    Attributes:
        landmarks: 5 x 2, pixels, in the order of ``Face.landmarks``.
        mesh: Its mesh in pixels of the same picture; None where none was fitted.
    """

    landmarks: NDArray[np.float64]
    mesh: Mesh | None = None

    def moved(self, origin_xy: tuple[float, float], scale: float) -> FaceGeometry:
        """Returns the geometry in a window that starts at ``origin_xy`` and is then enlarged by ``scale``."""
        mesh = self.mesh
        if mesh is not None:
            mesh = (mesh - np.array((*origin_xy, 0), np.float32)) * np.float32(scale)
        return FaceGeometry((self.landmarks - origin_xy) * scale, mesh)

    def mirrored(self, width_px: int) -> FaceGeometry:
        """Returns the geometry in a mirrored picture: right points become left ones."""
        landmarks = (self.landmarks * (-1, 1) + (width_px, 0))[[1, 0, 2, 4, 3]]
        return FaceGeometry(landmarks, None if self.mesh is None else mirror_mesh(self.mesh, width_px))

    def nearest_mesh(self) -> Mesh:
        """Returns the mesh or, where none was fitted, the mean face laid over the landmarks."""
        return lay_mean_mesh(self.landmarks) if self.mesh is None else self.mesh


class Pose(NamedTuple):
    """Pose of a mesh: ``mesh = scale * canonical @ rotation + centre``, nearly.

    Attributes:
        rotation: 3 x 3.
        scale: Pixels of a distance of the canonical irises.
        centre: 3, pixels, where the canonical origin lies.
    """

    rotation: NDArray[np.float64]
    scale: float
    centre: NDArray[np.float64]

    def turned_to_camera(self, mesh: Mesh) -> NDArray[np.float64]:
        """Returns 478 x 3, float64: a mesh turned upright and frontal, in the canonical mesh's units."""
        return np.asarray((mesh - self.centre) @ self.rotation.T / self.scale)

    def turned_back(self, points: NDArray[np.float64]) -> Mesh:
        """Returns 478 x 3, float32, pixels: points in canonical units, turned and moved to where the face was."""
        return (points @ self.rotation * self.scale + self.centre).astype(np.float32)

    def yaw_pitch(self) -> NDArray[np.float64]:
        """Returns 2, float64: yaw and pitch in radians, positive to the picture's right and downwards."""
        x, y, z = -self.rotation[2]
        return np.array((np.arctan2(x, -z), np.arctan2(y, np.hypot(x, z))))


def measure_pose(mesh: Mesh) -> Pose:
    """Returns the rotation, scale and shift that bring the canonical mesh nearest to a mesh (Umeyama, PAMI 1991)."""
    canonical, goal = canonical_mesh().points[RIGID].astype(np.float64), mesh[RIGID].astype(np.float64)
    start, end = canonical.mean(axis=0), goal.mean(axis=0)
    left, sizes, right = np.linalg.svd((canonical - start).T @ (goal - end))
    flip = np.array((1, 1, np.sign(np.linalg.det(left @ right))))
    rotation = (left * flip) @ right
    scale = float((sizes * flip).sum() / ((canonical - start) ** 2).sum())
    return Pose(rotation, scale, end - scale * start @ rotation)


def mirror_mesh(mesh: Mesh, width_px: int) -> Mesh:
    """Returns the mesh of the mirrored picture: every point takes the index of its twin."""
    return mesh[canonical_mesh().mirror] * np.array((-1, 1, 1), np.float32) + np.array((width_px, 0, 0), np.float32)


def lay_mean_mesh(landmarks: NDArray[np.float64]) -> Mesh:
    """Lays the mean face over five landmarks: by a similarity transform, then bent until they meet.

    Args:
        landmarks: 5 x 2, pixels.
    """
    points = canonical_mesh().points.astype(np.float64)
    five = five_of(points)
    start, goal = five[:, 0] + 1j * five[:, 1], landmarks[:, 0] + 1j * landmarks[:, 1]
    centred = start - start.mean()
    factor = ((goal - goal.mean()) * centred.conj()).sum() / (np.abs(centred) ** 2).sum()
    laid = (points[:, 0] + 1j * points[:, 1] - start.mean()) * factor + goal.mean()
    # Interpolates the five misfits by Gaussians around them.
    distances = np.linalg.norm(points[:, None, :2] - five[None, :, :2], axis=2)
    between = np.linalg.norm(five[:, None, :2] - five[None, :, :2], axis=2)
    weights = np.linalg.solve(
        np.exp(-((between / PULL_UNITS) ** 2)), goal - ((start - start.mean()) * factor + goal.mean())
    )
    laid += np.exp(-((distances / PULL_UNITS) ** 2)) @ weights
    return np.stack((laid.real, laid.imag, points[:, 2] * abs(factor)), axis=1).astype(np.float32)
