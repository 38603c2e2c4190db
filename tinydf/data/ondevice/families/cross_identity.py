"""Cross-identity blends, a batch at a time: see ``tinydf/data/families/cross_identity.py``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tinydf.data.families.cross_identity import CANDIDATES
from tinydf.data.ondevice.faces import Faces
from tinydf.data.ondevice.lab import match_colour
from tinydf.data.ondevice.photometry import as_levels
from tinydf.data.ondevice.randomness import Indices, Numbers, Randomness, to_device
from tinydf.data.ondevice.store import PackedFaces
from tinydf.data.ondevice.warps import as_complex, inverted, pixel_grid, sample_at, similarities


class CrossIdentity:
    """Forges faces from those of other people."""

    def __init__(self, donors: PackedFaces) -> None:
        """Keeps the donors; a person may be asked to donate to a photo of their own, which is rare and harmless."""
        self._donors = donors
        self._shapes = _shapes(donors.landmarks)

    def __call__(self, faces: Faces, masks: Tensor, rng: Randomness) -> tuple[Tensor, Tensor]:
        """Forges as ``table.BatchForger`` says."""
        donors = self._choose(faces, rng)
        windows = self._donors.windows.index_select(0, to_device(donors, faces.images.device)).float()
        placed = similarities(self._donors.landmarks[donors], faces.landmarks)
        places = pixel_grid(inverted(placed), windows.shape[-1], windows.device)
        return match_colour(as_levels(sample_at(windows, places)), faces.images, masks), faces.images

    def _choose(self, faces: Faces, rng: Randomness) -> Indices:
        """Returns, of a few donors drawn for each face, the one whose landmarks fit best; never the photo itself."""
        drawn = rng.choices.integers(0, len(self._shapes), (len(faces), CANDIDATES))
        distances = np.abs(self._shapes[drawn] - _shapes(faces.landmarks)[:, None]).sum(axis=2)
        distances[drawn == faces.photos[:, None]] = np.inf
        return np.asarray(np.take_along_axis(drawn, distances.argmin(axis=1)[:, None], axis=1)[:, 0])


def _shapes(landmarks: Numbers) -> NDArray[np.complex128]:
    """Returns N x 5 x 2 landmarks as complex numbers with position, size and roll taken out."""
    points = as_complex(landmarks)
    return np.asarray((points - points.mean(-1, keepdims=True)) / (points[:, 1:2] - points[:, :1]))
