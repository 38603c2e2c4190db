"""Photos -> shards of pairs, spread over processes, in an order that training can follow."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from torch.utils.data import Dataset

from tinydf.data.forgery_types.table import shares_without
from tinydf.data.manifest import Split
from tinydf.data.photos import find_table, read_photos
from tinydf.data.processes import run_each
from tinydf.data.samples import Pair
from tinydf.data.series import colour_reals, training_pairs
from tinydf.data.shards import (
    MASK_STEP,
    PLAN_NAME,
    PairPlan,
    pair_dtype,
    read_plan,
    shard_path,
    write_plan,
)
from tinydf.train_config import TrainConfig
from tinydf_runtime.errors import OutputError, UnreadableInputError, UsageError
from tinydf_runtime.faces.crop import CropConfig
from tinydf_runtime.io.files import clear_leftovers, sha256_of, write_atomically

PAIRS_A_SHARD = 128
"""39 MB: the memory of a process, and the most work that an interruption loses."""
ATTEMPTS = 8
"""Retries: other photos for an unreadable one, and attempts at a shard whose process died."""


@dataclass(frozen=True, slots=True)
class Made:
    """Result of a run.

    Attributes:
        shards: Files that were written now.
        resumed: Files that were there.
        skipped: Photos that could not be read, each once, with the reason.
    """

    shards: int
    resumed: int
    skipped: list[str]


@dataclass(frozen=True, slots=True)
class _Task:
    data: Path
    out: Path
    plan: PairPlan
    shard: int
    attempt: int


def plan_pairs(
    data: Path, split: Split, pairs: int, seed: int, easy_share: float = 0.0, without: tuple[str, ...] = ()
) -> PairPlan:
    """Returns the plan of pairs that are made from a folder's photos.

    Raises:
        UnreadableInputError: The folder's table cannot be read.
        UsageError: It holds no colour photo of a real face, or a type of forgery is unknown.
    """
    photos = colour_reals(read_photos(data, split))
    forgeries = shares_without(without)
    return PairPlan(
        crop_sha256=CropConfig().sha256(),
        table_sha256=sha256_of(find_table(data)),
        split=split,
        photos=len(photos),
        meshes=sum(photo.mesh is not None for photo in photos),
        seed=seed,
        pairs=pairs,
        pairs_a_shard=PAIRS_A_SHARD,
        easy_share=easy_share,
        forgeries=forgeries,
    )


def make_pairs(
    data: Path, out: Path, plan: PairPlan, workers: int, report: Callable[[int, int], None] = lambda there, made: None
) -> Made:
    """Makes what the plan asks for and the folder lacks.

    Args:
        data: Folder of photos.
        out: Folder of the shards; made where it is missing.
        plan: What to make.
        workers: Processes.
        report: Called after each shard with the number of existing pairs, and of those made now.

    Raises:
        UsageError: The folder holds pairs of another plan.
        OutputError: The disk has no room for the pairs, or a file cannot be written.
        UnreadableInputError: Photo after photo could not be read.
    """
    skipped = dict.fromkeys(_begin(out, plan))
    missing = [shard for shard in range(plan.shards) if not shard_path(out, shard).exists()]
    resumed, made, pairs = plan.shards - len(missing), 0, 0
    there = plan.pairs - sum(len(plan.indices(shard)) for shard in missing)
    for attempt in range(ATTEMPTS):
        tasks = [_Task(data, out, plan, shard, attempt) for shard in missing]
        for task, failures in run_each(_make_shard, tasks, workers):
            if failures is None:
                continue
            made, pairs = made + 1, pairs + len(plan.indices(task.shard))
            if not skipped.keys() >= set(failures):
                skipped |= dict.fromkeys(failures)
                write_plan(out, plan, list(skipped))
            report(there + pairs, pairs)
        missing = [shard for shard in missing if not shard_path(out, shard).exists()]
        if not missing:
            return Made(made, resumed, list(skipped))
    raise OutputError(f"{shard_path(out, missing[0])}: the process that makes it dies each time. Try fewer --workers.")


def _begin(out: Path, plan: PairPlan) -> list[str]:
    """Makes the folder ready and returns the photos that an earlier run skipped."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{out}: cannot be made ({error.strerror}). Choose another folder.") from error
    clear_leftovers(out)
    skipped: list[str] = []
    if (out / PLAN_NAME).exists():
        present, skipped = read_plan(out)
        if present != plan:
            names = [name for name in PairPlan.__slots__ if getattr(present, name) != getattr(plan, name)]
            raise UsageError(
                f"{out}: holds pairs of another {', '.join(names)}. Give the settings they were begun with, or another "
                "--out."
            )
    there = sum(1 for shard in range(plan.shards) if shard_path(out, shard).exists())
    needed = (plan.shards - there) * plan.pairs_a_shard * pair_dtype(CropConfig().side_px).itemsize
    free = shutil.disk_usage(out).free
    if needed > free:
        raise OutputError(
            f"{out}: the pairs need {needed / 1e9:.1f} GB more, {free / 1e9:.1f} GB are free. Give fewer --pairs."
        )
    write_plan(out, plan, skipped)
    return skipped


def _make_shard(task: _Task) -> list[str]:
    """Writes a shard and returns why photos were skipped."""
    cv2.setNumThreads(1)
    series = _series(task.data, task.plan)
    indices = task.plan.indices(task.shard)
    skipped: list[str] = []
    rows = np.zeros(len(indices), pair_dtype(CropConfig().side_px))
    for row, index in zip(rows, indices, strict=True):
        pair = _first_that_can_be_made(series, index, task, skipped)
        row["real"], row["forged"], row["mask"] = pair.real, pair.forged, _shrunk(pair)
    write_atomically(shard_path(task.out, task.shard), lambda file: np.save(file, rows))
    return skipped


def _first_that_can_be_made(series: Dataset[Pair], index: int, task: _Task, skipped: list[str]) -> Pair:
    """Returns pair ``index`` or, where its photo cannot be read, one from beyond the end of the series."""
    for turn in range(ATTEMPTS):
        try:
            return series[index + (task.attempt * ATTEMPTS + turn) * task.plan.pairs]
        except UnreadableInputError as error:
            skipped.append(str(error))
    raise UnreadableInputError(f"{task.data}: photo after photo cannot be read, the last: {skipped[-1]}")


def _shrunk(pair: Pair) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    side_px = pair.mask.shape[0] // MASK_STEP
    mask = cv2.resize(pair.mask, (side_px, side_px), interpolation=cv2.INTER_AREA)
    return np.asarray((mask * 255).round(), dtype=np.uint8)


def _series(data: Path, plan: PairPlan) -> Dataset[Pair]:
    without = tuple(sorted(shares_without(()).keys() - plan.forgeries.keys()))
    return _opened(data, plan.split, plan.seed, plan.pairs, round(plan.easy_share * plan.pairs), without)


@lru_cache(maxsize=1)
def _opened(
    data: Path, split: Split, seed: int, pairs: int, curriculum: int, without: tuple[str, ...]
) -> Dataset[Pair]:
    """Opens the series once in each process: reading the table takes seconds."""
    config = TrainConfig(seed=seed, patch_px=CropConfig().side_px, without=list(without))
    return training_pairs(config, read_photos(data, split), pairs, seed, curriculum)
