"""Low-resolution decoder imitation, a batch at a time: see ``tinydf/data/families/decoder_imitation.py``."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from tinydf.data.families.decoder_imitation import DECODER_PX
from tinydf.data.ondevice import photometry
from tinydf.data.ondevice.axes import apply_axes
from tinydf.data.ondevice.faces import Faces
from tinydf.data.ondevice.families.self_blend import warp_source
from tinydf.data.ondevice.randomness import Randomness, change_some


def imitate_decoder(faces: Faces, masks: Tensor, rng: Randomness) -> tuple[Tensor, Tensor]:
    """Forges as ``table.BatchForger`` says."""
    count, draw, length = len(faces), rng.choices.uniform, faces.images.shape[-1]
    warped = rng.choices.random(count) < 0.5
    source = change_some(faces.images, warped, lambda part, index: warp_source(part, faces.take(index), rng))
    coloured, strength = rng.choices.random(count) < 0.5, draw(0.1, 0.4, count)
    source = change_some(source, coloured, lambda part, index: photometry.shift_colour(part, strength[index], rng))

    scale = np.minimum(0.8, draw(*DECODER_PX, count) / faces.widths_px()) * (1 - 0.3 * faces.ease)
    small = np.round(length * scale)
    down = photometry.shrinking_axis(small, length, source)
    # A decoder paints smooth skin and firm edges: a bilateral filter does the same to what is there.
    smooth = photometry.bilateral(photometry.as_levels(apply_axes(source, down, down)), draw(8, 25, count))
    up = photometry.enlarging_axis(small, rng.choices.choice(("linear", "cubic"), count), length, source)
    rebuilt = photometry.as_levels(apply_axes(smooth, up, up))
    sharpened, amount = rng.choices.random(count) < 0.3, draw(0.3, 1.0, count)
    rebuilt = change_some(rebuilt, sharpened, lambda part, index: photometry.sharpen(part, amount[index]))
    return rebuilt, faces.images
