"""Self-blended images, a batch at a time: see ``tinydf/data/families/self_blend.py``."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from torch import Tensor

from tinydf.data.ondevice import photometry
from tinydf.data.ondevice.faces import Faces
from tinydf.data.ondevice.jpeg import jpeg
from tinydf.data.ondevice.randomness import Indices, Numbers, Randomness, change_some, per_sample
from tinydf.data.ondevice.warps import about_centre, elastic_field, inverted, pixel_grid, sample_at

FIELD_CELLS = 4


def self_blend(faces: Faces, masks: Tensor, rng: Randomness) -> tuple[Tensor, Tensor]:
    """Forges as ``table.BatchForger`` says."""
    changed = change_look(faces.images, faces.surrounds_px(), rng, faces.ease)
    # A forged face is softer than its surround more often than the reverse.
    from_source = per_sample((rng.choices.random(len(faces)) < 0.7).astype(np.float64), changed)
    source, target = changed.lerp(faces.images, 1 - from_source), faces.images.lerp(changed, 1 - from_source)
    return warp_source(source, faces, rng), target


def change_look(images: Tensor, surrounds_px: Numbers, rng: Randomness, ease: Numbers) -> Tensor:
    """Changes colour, sharpness or grain, at least one of them."""
    count, draw = len(images), rng.choices.uniform
    colour, softness = draw(0, 1, count) < 0.6, draw(0, 1, count) < 0.75
    strength = draw(0.2, 0.7, count) + 0.5 * ease
    images = change_some(
        images, colour | ~softness, lambda part, index: photometry.shift_colour(part, strength[index], rng)
    )
    return change_some(
        images, softness, lambda part, index: _change_sharpness(part, surrounds_px[index], rng, ease[index])
    )


def _change_sharpness(images: Tensor, surrounds_px: Numbers, rng: Randomness, ease: Numbers) -> Tensor:
    count, draw = len(images), rng.choices.uniform
    kind, harder = draw(0, 1, count), 1 + ease
    # Down to the 64 to 256 px of a face decoder, whatever the photo's own size.
    factor = draw(0.25, 0.85, count) * (1 - 0.4 * ease)
    sigma_px = draw(0.002, 0.008, count) * surrounds_px * harder
    amount = draw(0.3, 1.2, count) * harder
    quality = rng.choices.integers(30, 85, count)
    grain = draw(2, 7, count) * harder
    changes: tuple[tuple[float, Callable[[Tensor, Indices], Tensor]], ...] = (
        (0.45, lambda part, index: photometry.resample(part, factor[index], rng)),
        (0.65, lambda part, index: photometry.blur(part, sigma_px[index])),
        (0.8, lambda part, index: photometry.sharpen(part, amount[index])),
        (0.9, lambda part, index: jpeg(part, quality[index])),
        (1.0, lambda part, index: photometry.add_noise(part, grain[index], rng)),
    )
    least = 0.0
    for most, change in changes:
        images = change_some(images, (kind >= least) & (kind < most), change)
        least = most
    return images


def warp_source(images: Tensor, faces: Faces, rng: Randomness) -> Tensor:
    """Shifts, scales, turns and bends each face a little, so that its edges no longer meet those around it."""
    count, draw, side = len(faces), rng.choices.uniform, images.shape[-1]
    widths = faces.widths_px()
    affines = about_centre(
        faces.centres(),
        rng.choices.normal(0, 1.5, count),
        draw(0.95, 1.05, count),
        draw(-0.03, 0.03, (count, 2)) * widths[:, None],
    )
    places = pixel_grid(inverted(affines), side, images.device)
    bent = rng.choices.random(count) >= 0.6
    coarse = rng.choices.normal(0, 1, (count, 2, FIELD_CELLS, FIELD_CELLS)) * 0.012 * widths[:, None, None, None]

    def bend(part: Tensor, index: Indices) -> Tensor:
        middle = faces.boxes_xyxy[index].reshape(-1, 2, 2).mean(axis=1)
        return part + elastic_field(coarse[index], middle, faces.surrounds_px()[index], side, images.device)

    return photometry.as_levels(sample_at(images, change_some(places, bent, bend)))
