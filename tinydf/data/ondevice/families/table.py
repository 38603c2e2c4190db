"""The families by name, and the mixture of them that a batch is forged by."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from tinydf.data.families.self_blend import MIN_DIFFERENCE
from tinydf.data.families.table import shares_without
from tinydf.data.ondevice.faces import Faces
from tinydf.data.ondevice.families.colour_grain import mismatch_colour_and_grain
from tinydf.data.ondevice.families.cross_identity import CrossIdentity
from tinydf.data.ondevice.families.decoder_imitation import imitate_decoder
from tinydf.data.ondevice.families.face_warp import face_warp
from tinydf.data.ondevice.families.self_blend import self_blend
from tinydf.data.ondevice.families.upsampling_trace import leave_upsampling_trace
from tinydf.data.ondevice.masks import draw_masks
from tinydf.data.ondevice.photometry import as_levels
from tinydf.data.ondevice.randomness import Indices, Numbers, Randomness, change_some, per_sample, to_device
from tinydf.data.ondevice.store import PackedFaces

BatchForger: TypeAlias = Callable[[Faces, Tensor, Randomness], tuple[Tensor, Tensor]]
"""``forge(faces, masks, rng)`` -> what to paste and the pictures to paste it into, N x 3 x S x S each, 0..255. The
masks, N x 1 x S x S, are what will be replaced; the pictures are the faces' own but where a family changes them."""
SELF_BLENDS = ("self-blend", "region-blend")
MOST_GAIN = 3.0


class BatchMixture:
    """Forges a batch, each face by a family drawn by ``families.table.SHARES``."""

    def __init__(self, donors: PackedFaces, without: Collection[str] = ()) -> None:
        """Opens the families.

        Args:
            donors: Faces that may be put onto others.
            without: Names of families to leave out.

        Raises:
            UsageError: A name is not in the table, or no family is left.
        """
        shares = shares_without(without)
        self._names, self._shares = list(shares), list(shares.values())
        self._forgers: dict[str, BatchForger] = {
            "self-blend": self_blend,
            "region-blend": self_blend,
            "cross-identity": CrossIdentity(donors),
            "decoder": imitate_decoder,
            "face-warp": face_warp,
            "colour-grain": mismatch_colour_and_grain,
            "upsampling": leave_upsampling_trace,
        }

    def __call__(self, faces: Faces, rng: Randomness) -> tuple[Tensor, Tensor]:
        """Returns the forged images, N x 3 x S x S, levels of 0..255, and their masks, N x 1 x S x S, 0..1."""
        names = rng.choices.choice(self._names, len(faces), p=self._shares)
        selfmade = np.isin(names, SELF_BLENDS)
        masks = draw_masks(faces, names == "region-blend", rng)
        opaque = selfmade & (rng.choices.random(len(faces)) < faces.ease)
        masks = change_some(masks, opaque, lambda part, index: part / part.amax((2, 3), keepdim=True).clamp(min=1e-6))
        forged = torch.empty_like(faces.images)
        for forge in dict.fromkeys(self._forgers.values()):
            index = np.flatnonzero([self._forgers[name] is forge for name in names])
            if len(index):
                places = to_device(index, forged.device)
                own = masks.index_select(0, places)
                source, target = forge(faces.take(index), own, rng)
                forged.index_copy_(0, places, as_levels(target.lerp(source, own)))

        def make_visible(part: Tensor, index: Indices) -> Tensor:
            chosen = to_device(index, part.device)
            originals, own = faces.images.index_select(0, chosen), masks.index_select(0, chosen)
            return exaggerate(part, originals, own, faces.ease[index])

        return change_some(forged, selfmade, make_visible), masks


def exaggerate(forged: Tensor, originals: Tensor, masks: Tensor, ease: Numbers) -> Tensor:
    """Enlarges differences inside the masks that are too small to be found.

    ``self_blend.self_blend`` draws again what changed too little. Here that would mean to wait for the device: instead
    the change that was drawn is multiplied, by up to ``MOST_GAIN``, until it is as large as a forgery's must be.
    """
    change = forged - originals
    size = (change.abs().mean(1, keepdim=True) * masks).sum((1, 2, 3), keepdim=True)
    wanted = masks.sum((1, 2, 3), keepdim=True) * per_sample(MIN_DIFFERENCE * (1 + 2 * ease), masks)
    gain = (wanted / size.clamp(min=1e-6)).clamp(1, MOST_GAIN)
    return as_levels(forged + change * masks * (gain - 1))
