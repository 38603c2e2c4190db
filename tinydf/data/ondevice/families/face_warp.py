"""Face warping artefacts, a batch at a time: see ``tinydf/data/families/face_warp.py``."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from tinydf.data.families.face_warp import ALIGNED_PX, MOST_TURN_DEGREES
from tinydf.data.ondevice.faces import Faces
from tinydf.data.ondevice.photometry import as_levels, blur
from tinydf.data.ondevice.randomness import Indices, Randomness, change_some, to_device
from tinydf.data.ondevice.warps import about_centre, inverted, pixel_grid, sample_at


def face_warp(faces: Faces, masks: Tensor, rng: Randomness) -> tuple[Tensor, Tensor]:
    """Forges as ``table.BatchForger`` says."""
    count, draw, side, device = len(faces), rng.choices.uniform, faces.images.shape[-1], faces.images.device
    scale = np.minimum(1.0, draw(*ALIGNED_PX, count) / (1.4 * faces.widths_px())) * (1 - 0.3 * faces.ease)
    turn = draw(-MOST_TURN_DEGREES, MOST_TURN_DEGREES, count)
    there = about_centre(faces.centres(), turn, scale, draw(0, 1, (count, 2)))
    aligned = as_levels(sample_at(faces.images, pixel_grid(inverted(there), side, device)))
    smoothed = blur(aligned, draw(0.3, 0.9, count) * (1 + faces.ease))
    places = pixel_grid(there, side, device)

    def enlarge_cubic(part: Tensor, index: Indices) -> Tensor:
        chosen = to_device(index, device)
        return sample_at(smoothed.index_select(0, chosen), places.index_select(0, chosen), "bicubic")

    back = change_some(sample_at(smoothed, places), rng.choices.random(count) < 0.5, enlarge_cubic)
    return as_levels(back), faces.images
