"""Settings of a run -> the series of pairs that it learns from, and the one that it is validated on."""

from __future__ import annotations

from collections.abc import Sequence

from torch.utils.data import Dataset

from tinydf.data.dataset import AlternatingPairs, FixedPairs, PairSeries
from tinydf.data.families.table import Mixture
from tinydf.data.labelled import LabelledPairs
from tinydf.data.photos import Photo
from tinydf.data.samples import Pair
from tinydf.train_config import TrainConfig
from tinydf_runtime.crop import CropRecipe
from tinydf_runtime.errors import UsageError

VALIDATION_PAIRS = 400


def training_pairs(
    config: TrainConfig, pictures: Sequence[Photo], length: int, seed: int, easy: int = 0
) -> Dataset[Pair]:
    """Returns the series that the run's method asks for.

    Args:
        config: The run.
        pictures: Of the training split, real and perhaps forged.
        length: Number of pairs.
        seed: Seed of all randomness.
        easy: Number of pairs over which the forgeries made here grow from coarse to subtle.

    Raises:
        UsageError: The pictures are not what the method needs.
    """
    if config.method == "supervised":
        return LabelledPairs(pictures, config.patch_px, length, seed)
    reals = colour_reals(pictures)
    made = PairSeries(reals, config.patch_px, length, seed, easy, Mixture(reals, config.without))
    if config.method == "selfblend":
        return made
    return AlternatingPairs(made, LabelledPairs(pictures, config.patch_px, length, seed), length)


def validation_pairs(config: TrainConfig, pictures: Sequence[Photo]) -> Dataset[Pair]:
    """Returns pairs of the validation split, always the same: forgeries of the set, or made from an even selection.

    Every family is among those that are made, also the ones that the run trains without.

    Raises:
        UsageError: The pictures are not what the method needs.
    """
    if config.method == "supervised":
        return LabelledPairs(pictures, CropRecipe().side_px, min(VALIDATION_PAIRS, len(pictures)), config.seed)
    reals = colour_reals(pictures)
    chosen = reals[:: -(-len(reals) // VALIDATION_PAIRS)]
    return FixedPairs(chosen, config.seed, Mixture(chosen))


def colour_reals(pictures: Sequence[Photo]) -> list[Photo]:
    """Returns the pictures that forgeries are made from.

    Raises:
        UsageError: There are none.
    """
    reals = [picture for picture in pictures if picture.label == "real" and not picture.grey]
    if not reals:
        raise UsageError("no colour picture of a real face in a split: forgeries are made from them.")
    return reals
