"""Upsampling traces, a batch at a time: see ``tinydf/data/families/upsampling_trace.py``."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from tinydf.data.families.upsampling_trace import BILINEAR
from tinydf.data.ondevice import photometry
from tinydf.data.ondevice.axes import apply_axes
from tinydf.data.ondevice.faces import Faces
from tinydf.data.ondevice.randomness import Numbers, Randomness, per_sample


def leave_upsampling_trace(faces: Faces, masks: Tensor, rng: Randomness) -> tuple[Tensor, Tensor]:
    """Forges as ``table.BatchForger`` says."""
    count, draw, length = len(faces), rng.choices.uniform, faces.images.shape[-1]
    # The pattern's period in the picture is that of the generator, enlarged or shrunk with its face.
    half = np.round(length * draw(0.6, 1.3, count) / 2)
    down = photometry.shrinking_axis(half, length, faces.images)
    small = photometry.as_levels(apply_axes(faces.images, down, down))
    generated = _enlarge_twice(small, draw(0.04, 0.15, count) * (1 + faces.ease), rng)
    up = photometry.enlarging_axis(2 * half, "linear", length, faces.images)
    # A generator's face is mostly as detailed as the photo: only some of what shrinking lost stays lost.
    enlarged = photometry.as_levels(apply_axes(generated, up, up))
    keep = per_sample(draw(0, 0.4, count), enlarged)
    return photometry.as_levels(enlarged.lerp(faces.images, keep)), faces.images


def _enlarge_twice(images: Tensor, strength: Numbers, rng: Randomness) -> Tensor:
    """Enlarges by zero insertion and kernels that are uneven by ``strength``, one kernel a sample."""
    count, channels, height, width = images.shape
    sparse = images.new_zeros(count, channels, 2 * height, 2 * width)
    sparse[..., ::2, ::2] = images
    kernels = BILINEAR * (1 + rng.choices.normal(0, 1, (count, 4, 4)) * strength[:, None, None])
    # Mean brightness is kept, the four phases of the kernel differ: that is the checkerboard.
    return photometry.as_levels(photometry.filter_each(sparse, kernels * 4 / kernels.sum((1, 2), keepdims=True)))
