"""Photos of validation people -> the fixed set of pairs by which candidates are chosen, coded as video.

A training mixture flatters the network that was trained on it. This set is the same for every run: one pair per photo
and forgery type, each a frame of a moving, coded clip. ``scripts/rank_validations.py`` shows how well it ranks networks
whose figures on real deepfakes are known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from torch.utils.data import Dataset

from tinydf.data.degrade import draw_clip
from tinydf.data.forgery_types.blending import Forger
from tinydf.data.forgery_types.table import forgers_by_type
from tinydf.data.photos import Photo
from tinydf.data.samples import Pair, make_pair
from tinydf.data.series import colour_reals
from tinydf_runtime.faces.crop import CropConfig

VERSION = 2
"""Raised whenever the set's pairs change: figures of two versions do not compare."""
SEED = 101
TYPES = ("mesh-swap", "mesh-reenact", "cross-identity", "decoder", "self-blend")
"""Types that represent face swaps, reenactment and decoders; the mean of their AUCs is the set's figure."""


class ClipPairs(Dataset[Pair]):
    """One pair of each photo, a frame of a clip, the same at every call."""

    def __init__(
        self, photos: Sequence[Photo], seed: int, forge: Forger, crop_config: CropConfig | None = None
    ) -> None:
        """Sets the series up.

        Args:
            photos: What to forge, one pair each.
            seed: Seed of all randomness.
            forge: Forgery type.
            crop_config: The crop, that of this version if not given.
        """
        self._photos, self._seed, self._forge, self._crop_config = photos, seed, forge, crop_config or CropConfig()

    def __len__(self) -> int:
        return len(self._photos)

    def __getitem__(self, index: int) -> Pair:
        """Makes the pair of photo ``index``."""
        cv2.setNumThreads(1)
        rng = np.random.default_rng((self._seed, index))
        return make_pair(self._photos[index], self._crop_config, rng, self._forge, draw=draw_clip)


def validation_set(
    photos: Sequence[Photo], count: int = 200, crop_config: CropConfig | None = None
) -> Mapping[str, ClipPairs]:
    """Returns the set's pairs by forgery type.

    Args:
        photos: Of one split, in the order of its table.
        count: Photos, spread evenly over the table; those with a mesh, which mesh forgeries need, come first.
        crop_config: The crop, that of this version if not given.

    Raises:
        UsageError: There is no colour photo of a real face.
    """
    reals = colour_reals(photos)
    meshed = [photo for photo in reals if photo.mesh is not None] or reals
    places = np.linspace(0, len(meshed) - 1, min(count, len(meshed))).round().astype(int)
    chosen = [meshed[place] for place in places]
    forgers = forgers_by_type(reals)
    return {name: ClipPairs(chosen, SEED + number, forgers[name], crop_config) for number, name in enumerate(TYPES)}
