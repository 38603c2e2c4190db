"""Donor photos, found by head pose."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tinydf.data.face_mesh import Mesh, canonical_mesh
from tinydf.data.geometry import measure_pose, mirror_mesh
from tinydf.data.photometry import as_image
from tinydf.data.photos import Photo
from tinydf_runtime.io.image import read_image
from tinydf_runtime.types import Image

CANDIDATES = 48
"""Donors compared in pose for each forgery."""
NEAREST = 6
"""Of these, one of the nearest in pose is taken."""
COMPARED = 2
"""Donors compared in skin colour: faces are mostly swapped between people who look alike."""
SAME_PHOTO_RADIANS = 1e-4


class PosedDonors:
    """Donors with their head pose. Only those with a mesh donate, if any has one."""

    def __init__(self, photos: Sequence[Photo]) -> None:
        """Measures every donor's pose."""
        self._photos = [photo for photo in photos if photo.mesh is not None] or list(photos)
        self._poses = np.array([measure_pose(photo.geometry().nearest_mesh()).yaw_pitch() for photo in self._photos])

    def draw(self, image: Image, mesh: Mesh, rng: Generator) -> tuple[Image, Mesh]:
        """Draws a donor who looks about where the face looks, perhaps in a mirror, and has about its skin colour.

        Args:
            image: The picture that is to be forged, BGR.
            mesh: Of the face in it.
            rng: Source of all randomness.

        Returns:
            The donor's picture, BGR, and the mesh in it.

        Raises:
            UnreadableInputError: The picture cannot be read.
        """
        candidates = rng.choice(len(self._photos), min(CANDIDATES, len(self._photos)), replace=False)
        poses = np.concatenate((self._poses[candidates], self._poses[candidates] * (-1, 1)))
        distances = np.linalg.norm(poses - measure_pose(mesh).yaw_pitch(), axis=1)
        # The very nearest may be the photo itself.
        order = np.argsort(np.where(distances < SAME_PHOTO_RADIANS, np.inf, distances))[:NEAREST]
        places = rng.choice(order, min(COMPARED, len(order)), replace=False)
        opened = [self._open(candidates[place % len(candidates)], place >= len(candidates)) for place in places]
        skin = mean_skin(image, mesh)
        return min(opened, key=lambda donor: float(np.abs(mean_skin(*donor) - skin).sum()))

    def _open(self, index: int, mirrored: bool) -> tuple[Image, Mesh]:
        image, mesh = read_image(self._photos[index].path), self._photos[index].geometry().nearest_mesh()
        return (as_image(cv2.flip(image, 1)), mirror_mesh(mesh, image.shape[1])) if mirrored else (image, mesh)


def mean_skin(image: Image, mesh: Mesh) -> NDArray[np.float64]:
    """Returns 4, float64: the mean blue, green and red level, 0..255, inside a mesh's outline, then a zero."""
    inside = np.zeros(image.shape[:2], np.uint8)
    cv2.fillConvexPoly(inside, cv2.convexHull(mesh[canonical_mesh().oval, :2].round().astype(np.int32)), 1)
    return np.array(cv2.mean(image, inside))


def shrink_texture(image: Image, mesh: Mesh, face_px: float) -> tuple[Image, Mesh]:
    """Cuts a face out of its picture and shrinks it to a width of at most ``face_px`` pixels, as a texture."""
    rows, columns = image.shape[:2]
    low, high = mesh[:, :2].min(axis=0), mesh[:, :2].max(axis=0)
    border = 0.1 * (high - low).max()
    left, top = np.clip((low - border).astype(int), 0, (columns - 2, rows - 2))
    right, bottom = np.clip((high + border).astype(int), (left + 2, top + 2), (columns, rows))
    cut = image[top:bottom, left:right]
    scale = min(1.0, face_px / float(high[0] - low[0]))
    size = (max(2, round((right - left) * scale)), max(2, round((bottom - top) * scale)))
    factors = np.array((size[0] / (right - left), size[1] / (bottom - top), scale), np.float32)
    # Pixels are squares: their centres, not their corners, are at whole numbers.
    moved = (mesh - np.array((left, top, 0), np.float32) + np.float32(0.5)) * factors - np.float32(0.5)
    return as_image(cv2.resize(cut, size, interpolation=cv2.INTER_AREA)), moved.astype(np.float32)
