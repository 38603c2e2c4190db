"""Settings of a run -> the series of pairs that it learns from, and the one that it is validated on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch.utils.data import Dataset

from tinydf.data.dataset import AlternatingPairs, FixedPairs, PairSeries, ReadablePairs
from tinydf.data.forgery_types.table import Mixture, shares_without
from tinydf.data.labelled import LabelledPairs
from tinydf.data.photos import Photo
from tinydf.data.samples import Pair
from tinydf.data.shards import ShardPairs
from tinydf.data.skipped import Skipped
from tinydf.train_config import TrainConfig
from tinydf_runtime.errors import UsageError
from tinydf_runtime.faces.crop import CropConfig

VALIDATION_PAIRS = 400
VALIDATION_SEED = 40
"""Of every run, so that the figures of two runs are about the same forgeries."""


def training_pairs(
    config: TrainConfig,
    pictures: Sequence[Photo],
    length: int,
    seed: int,
    curriculum: int = 0,
    folder: Path | None = None,
    skipped: Skipped | None = None,
) -> Dataset[Pair]:
    """Returns the series that the run's method asks for.

    Args:
        config: The run.
        pictures: Of the training split, real and perhaps forged.
        length: Number of pairs.
        seed: Seed of all randomness.
        curriculum: Number of pairs over which the forgeries made here grow from coarse to subtle.
        folder: Pairs that ``tinydf-make-pairs`` made, or is making, to be read in place of making them here.
        skipped: Remembers pictures that cannot be read, whose places others take; without it they end the run.

    Raises:
        UsageError: The pictures, or the pairs in the folder, are not what the run needs.
        UnreadableInputError: The folder holds no pairs, or a damaged file.
    """
    if folder is not None:
        return _made_before(config, folder, length, seed)
    made = _made_here(config, pictures, length, seed, curriculum)
    return made if skipped is None else ReadablePairs(made, length, skipped)


def _made_here(
    config: TrainConfig, pictures: Sequence[Photo], length: int, seed: int, curriculum: int
) -> Dataset[Pair]:
    if config.method == "supervised":
        return LabelledPairs(pictures, config.patch_px, length, seed)
    reals = colour_reals(pictures)
    made = PairSeries(reals, config.patch_px, length, seed, curriculum, Mixture(reals, config.without))
    if config.method == "selfblend":
        return made
    return AlternatingPairs(made, LabelledPairs(pictures, config.patch_px, length, seed), length)


def _made_before(config: TrainConfig, folder: Path, length: int, seed: int) -> Dataset[Pair]:
    pairs = ShardPairs(folder, config.patch_px, length, seed)
    if config.method != "selfblend":
        raise UsageError(f"{folder}: holds synthetic forgeries alone, which --method {config.method} does not ask for.")
    if pairs.plan.split != "train":
        raise UsageError(f"{folder}: holds pairs of split {pairs.plan.split}, expected train.")
    wanted = shares_without(config.without)
    if pairs.plan.forgeries != wanted:
        raise UsageError(
            f"{folder}: holds forgeries of the types {', '.join(pairs.plan.forgeries)}, drawn as they were when it was "
            f"made; the run asks for {', '.join(wanted)}. Give both commands the same --without, and make the pairs "
            "with this version."
        )
    pairs.check_files()
    return pairs


def validation_pairs(config: TrainConfig, pictures: Sequence[Photo], skipped: Skipped) -> Dataset[Pair]:
    """Returns pairs of the validation split, the same in every run: of the set, or made from an even selection.

    Every forgery type is among them, also those that the run trains without.

    Args:
        config: The run.
        pictures: Of the validation split.
        skipped: Remembers pictures that cannot be read, whose places the next ones take.

    Raises:
        UsageError: The pictures are not what the method needs.
    """
    if config.method == "supervised":
        length = min(VALIDATION_PAIRS, len(pictures))
        labelled = LabelledPairs(pictures, CropConfig().side_px, length, VALIDATION_SEED)
        return ReadablePairs(labelled, length, skipped)
    chosen = validation_photos(pictures)
    return ReadablePairs(FixedPairs(chosen, VALIDATION_SEED, Mixture(chosen)), len(chosen), skipped)


def validation_photos(pictures: Sequence[Photo]) -> list[Photo]:
    """Returns an even selection of the pictures that forgeries are made from: those that a run is validated on.

    Raises:
        UsageError: There are none.
    """
    reals = colour_reals(pictures)
    return reals[:: -(-len(reals) // VALIDATION_PAIRS)]


def colour_reals(pictures: Sequence[Photo]) -> list[Photo]:
    """Returns the pictures that forgeries are made from.

    Raises:
        UsageError: There are none.
    """
    reals = [picture for picture in pictures if picture.label == "real" and not picture.grey]
    if not reals:
        raise UsageError("no colour picture of a real face in a split: forgeries are made from them.")
    return reals
