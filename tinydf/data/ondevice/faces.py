"""A batch of faces on its way to being forged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from tinydf.data.ondevice.randomness import Indices, Numbers, Randomness, change_some, to_device
from tinydf.data.ondevice.store import PackedFaces
from tinydf.data.samples import WINDOW_MARGIN


@dataclass(frozen=True, slots=True)
class Faces:
    """N faces, each in its window.

    Attributes:
        images: N x 3 x S x S, RGB, float32, whole levels of 0..255, on the device.
        photos: N: which of the packed faces each is, on the host, as is all that follows.
        boxes_xyxy: N x 4, pixels.
        landmarks: N x 5 x 2, pixels.
        ease: N: 0 for forgeries as subtle as good ones are, up to 1 for coarse ones.
    """

    images: Tensor
    photos: Indices
    boxes_xyxy: Numbers
    landmarks: Numbers
    ease: Numbers

    def __len__(self) -> int:
        return len(self.photos)

    def take(self, index: Indices) -> Faces:
        """Returns some of the faces."""
        images = self.images.index_select(0, to_device(index, self.images.device))
        return Faces(images, self.photos[index], self.boxes_xyxy[index], self.landmarks[index], self.ease[index])

    def sides_px(self) -> Numbers:
        """Returns the longer side of each box."""
        return np.asarray((self.boxes_xyxy[:, 2:] - self.boxes_xyxy[:, :2]).max(axis=1), dtype=np.float64)

    def surrounds_px(self) -> Numbers:
        """Returns the sides of the windows that ``samples.make_pair`` cuts: some strengths are shares of them."""
        return self.sides_px() * (1 + 2 * WINDOW_MARGIN)

    def widths_px(self) -> Numbers:
        """Returns the widths from ear to ear, as ``blending.face_width`` estimates them."""
        return 2.2 * np.asarray(np.linalg.norm(self.landmarks[:, 1] - self.landmarks[:, 0], axis=1), dtype=np.float64)

    def centres(self) -> Numbers:
        """Returns the middles of the landmarks, N x 2."""
        return np.asarray(self.landmarks.mean(axis=1), dtype=np.float64)


def draw_faces(store: PackedFaces, ease: Numbers, rng: Randomness) -> Faces:
    """Draws as many faces as there are eases, each mirrored half of the time."""
    photos = store.draw(rng.choices, len(ease))
    images = store.windows.index_select(0, to_device(photos, store.windows.device)).float()
    mirrored = rng.choices.random(len(ease)) < 0.5
    images = change_some(images, mirrored, lambda part, index: part.flip(-1))
    boxes, landmarks = _mirror(store.boxes_xyxy[photos], store.landmarks[photos], images.shape[-1])
    return Faces(
        images,
        photos,
        np.where(mirrored[:, None], boxes, store.boxes_xyxy[photos]),
        np.where(mirrored[:, None, None], landmarks, store.landmarks[photos]),
        ease,
    )


def _mirror(boxes_xyxy: Numbers, landmarks: Numbers, width: int) -> tuple[Numbers, Numbers]:
    left, top, right, bottom = boxes_xyxy.T
    # The other eye becomes the right one, and so does the other corner of the mouth.
    swapped = landmarks[:, (1, 0, 2, 4, 3)] * (-1, 1) + (width, 0)
    return np.stack((width - right, top, width - left, bottom), axis=1), swapped
