"""Colour and grain mismatch, a batch at a time: see ``tinydf/data/families/colour_grain.py``."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from tinydf.data.ondevice import photometry
from tinydf.data.ondevice.faces import Faces
from tinydf.data.ondevice.jpeg import jpeg
from tinydf.data.ondevice.randomness import Numbers, Randomness, change_some, per_sample


def mismatch_colour_and_grain(faces: Faces, masks: Tensor, rng: Randomness) -> tuple[Tensor, Tensor]:
    """Forges as ``table.BatchForger`` says."""
    count, draw, ease = len(faces), rng.choices.uniform, faces.ease
    grain = rng.choices.random(count) < 0.6
    colour = ~grain | (rng.choices.random(count) < 0.5)
    lit = rng.choices.random(count) < 0.3
    strength = draw(0.25, 0.8, count) + 0.4 * ease
    source = change_some(faces.images, grain, lambda part, index: _change_grain(part, rng, ease[index]))
    source = change_some(source, colour, lambda part, index: photometry.shift_colour(part, strength[index], rng))
    source = change_some(source, lit, lambda part, index: _light_from_one_side(part, faces.take(index), rng))
    return source, faces.images


def _change_grain(images: Tensor, rng: Randomness, ease: Numbers) -> Tensor:
    kind, draw = rng.choices.random(len(images)), rng.choices.uniform
    images = change_some(images, kind < 0.35, lambda part, index: photometry.median(part))
    images = change_some(
        images,
        (kind >= 0.35) & (kind < 0.6),
        lambda part, index: photometry.bilateral(part, draw(10, 30, len(index))),
    )
    images = change_some(
        images,
        (kind >= 0.6) & (kind < 0.85),
        lambda part, index: photometry.add_noise(part, draw(2, 6, len(index)) * (1 + ease[index]), rng),
    )
    return change_some(images, kind >= 0.85, lambda part, index: jpeg(part, rng.choices.integers(25, 70, len(index))))


def _light_from_one_side(images: Tensor, faces: Faces, rng: Randomness) -> Tensor:
    """Brightens one side of each face and darkens the other."""
    count = len(faces)
    angle = rng.choices.uniform(0, 2 * np.pi, count)
    strength = rng.choices.uniform(0.08, 0.3, count) / (faces.surrounds_px() / 2)
    x, y = faces.centres().T
    at = torch.arange(images.shape[-1], device=images.device, dtype=torch.float32)
    along_x = (at - per_sample(x, images)) * per_sample(np.cos(angle) * strength, images)
    along_y = (at[:, None] - per_sample(y, images)) * per_sample(np.sin(angle) * strength, images)
    return (images * (1 + along_x + along_y)).clamp_(0, 255).floor_()
