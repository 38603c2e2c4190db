"""Pairs made beforehand: files of a fixed number each, and the series that reads them, even while they are written.

A folder holds ``pairs.json``, which says what the pairs are, and ``pairs-00000.npy`` onwards.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from tinydf.data.manifest import Split
from tinydf.data.samples import Pair, cut_patch
from tinydf_runtime.errors import UnavailableError, UnreadableInputError, UsageError
from tinydf_runtime.faces.crop import CropConfig
from tinydf_runtime.io.files import write_atomically

PLAN_NAME = "pairs.json"
SCHEMA = "tinydf.pairs/1"
MASK_STEP = 4
"""Masks are soft and learned in cells of 16 px, so that averages of 4 x 4 px suffice."""
POLL_S = 2.0
PATIENCE_S = 1800.0
"""Seconds without a new shard after which the writer counts as dead."""


@dataclass(frozen=True, slots=True)
class PairPlan:
    """What makes a folder of pairs: two with equal plans hold the same pairs.

    Attributes:
        crop_sha256: Of the crop config.
        table_sha256: Of the table of photos.
        split: Whose photos.
        photos: Number of photos that forgeries are made from.
        meshes: Number of those with a face mesh, which some forgeries need.
        seed: Of all randomness.
        pairs: How many there are, or will be.
        pairs_a_shard: How many a file holds; the last may hold fewer.
        easy_share: Share of them over which forgeries grow from coarse to subtle.
        forgeries: How often each type of forgery is drawn.
    """

    crop_sha256: str
    table_sha256: str
    split: Split
    photos: int
    meshes: int
    seed: int
    pairs: int
    pairs_a_shard: int
    easy_share: float
    forgeries: dict[str, float]

    @property
    def shards(self) -> int:
        """Number of files."""
        return -(-self.pairs // self.pairs_a_shard)

    def indices(self, shard: int) -> range:
        """Returns the numbers of a shard's pairs."""
        return range(shard * self.pairs_a_shard, min((shard + 1) * self.pairs_a_shard, self.pairs))


def pair_dtype(side_px: int) -> np.dtype[Any]:
    """Returns what one pair is in a file: two crops, RGB, and a mask of every fourth pixel, all uint8."""
    crop, mask_px = (side_px, side_px, 3), side_px // MASK_STEP
    return np.dtype([("real", "u1", crop), ("forged", "u1", crop), ("mask", "u1", (mask_px, mask_px))])


def shard_path(folder: Path, shard: int) -> Path:
    """Returns where a shard is, or will be."""
    return folder / f"pairs-{shard:05d}.npy"


def write_plan(folder: Path, plan: PairPlan, skipped: list[str]) -> None:
    """Writes ``pairs.json``.

    Args:
        folder: Must exist.
        plan: What makes the pairs.
        skipped: Photos that could not be read.

    Raises:
        OutputError: The file cannot be written.
    """
    facts = {"schema": SCHEMA, **asdict(plan), "skipped": skipped}
    write_atomically(folder / PLAN_NAME, (json.dumps(facts, indent=2) + "\n").encode())


def read_plan(folder: Path) -> tuple[PairPlan, list[str]]:
    """Returns the plan of a folder and the photos that were skipped so far.

    Raises:
        UnreadableInputError: There is none, or it is not one of this version.
    """
    path = folder / PLAN_NAME
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        if facts.pop("schema") != SCHEMA:
            raise ValueError(f"schema is not {SCHEMA}")
        skipped = list(facts.pop("skipped"))
        return PairPlan(**facts), skipped
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableInputError(
            f"{path}: is no list of pairs ({getattr(error, 'strerror', None) or error}). "
            "Name a folder that tinydf-make-pairs writes."
        ) from error


class ShardPairs(Dataset[Pair]):
    """The pairs of a folder in their order, again and again: every second round mirrored, and every patch a new one.

    Pair ``i`` is a function of the folder's plan, the seed and ``i``. One that is not there yet is waited for.
    """

    def __init__(
        self,
        folder: Path,
        patch_px: int,
        length: int,
        seed: int,
        patience_s: float = PATIENCE_S,
        poll_s: float = POLL_S,
    ) -> None:
        """Opens a folder.

        Args:
            folder: What ``tinydf-make-pairs`` writes, or has written.
            patch_px: Side of the window that is cut out of each crop; a crop's side for the whole.
            length: Number of pairs to give.
            seed: Seed of the windows.
            patience_s: How long to wait for a shard while none other comes.
            poll_s: Poll interval.

        Raises:
            UnreadableInputError: The folder holds no plan.
            UsageError: Its crops are not those of this version.
        """
        self.plan, _ = read_plan(folder)
        if self.plan.crop_sha256 != CropConfig().sha256():
            raise UsageError(
                f"{folder}: its crops follow crop config {self.plan.crop_sha256[:8]}, expected "
                f"{CropConfig().sha256()[:8]}. Make the pairs again with this version."
            )
        self._folder, self._patch_px, self._length, self._seed = folder, patch_px, length, seed
        self._patience_s, self._poll_s = patience_s, poll_s

    def __len__(self) -> int:
        return self._length

    def check_files(self) -> None:
        """Checks every existing file, so that a long run does not fail late at a damaged one.

        Raises:
            UnreadableInputError: One is damaged.
        """
        for shard in range(self.plan.shards):
            if (path := shard_path(self._folder, shard)).exists():
                _open(path, len(self.plan.indices(shard)))

    def __getitem__(self, index: int) -> Pair:
        """Returns pair ``index``.

        Raises:
            UnavailableError: It is not there, and for a long time nothing has been written.
            UnreadableInputError: Its file is damaged.
        """
        if not 0 <= index < self._length:
            raise IndexError(index)
        turn, number = divmod(index, self.plan.pairs)
        shard, place = divmod(number, self.plan.pairs_a_shard)
        path = shard_path(self._folder, shard)
        self._await(path)
        row = _open(path, len(self.plan.indices(shard)))[place]
        side = np.s_[:, ::-1] if turn % 2 else np.s_[:, :]
        mask = row["mask"].repeat(MASK_STEP, axis=0).repeat(MASK_STEP, axis=1)[side]
        pair = Pair(row["real"][side].copy(), row["forged"][side].copy(), mask.astype(np.float32) / np.float32(255))
        return cut_patch(pair, self._patch_px, np.random.default_rng((self._seed, index)))

    def _await(self, path: Path) -> None:
        """Waits until a shard exists."""
        if path.exists():
            return
        print(f"{path}: waiting for tinydf-make-pairs to write it.", file=sys.stderr, flush=True)
        newest, since = None, time.monotonic()
        while not path.exists():
            time.sleep(self._poll_s)
            latest = max((shard.name for shard in self._folder.glob("pairs-*.npy")), default="")
            if latest != newest:
                newest, since = latest, time.monotonic()
            if time.monotonic() - since > self._patience_s:
                raise UnavailableError(
                    f"{path}: not there, and no other came in {self._patience_s / 60:.0f} minutes. Start "
                    "tinydf-make-pairs again with its own settings: it goes on where it was."
                )


@lru_cache(maxsize=16)
def _open(path: Path, pairs: int) -> NDArray[np.void]:
    """Maps a shard: a pair is read from the disk when it is asked for."""
    try:
        rows = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise UnreadableInputError(f"{path}: is damaged ({error}). Remove it and start tinydf-make-pairs.") from error
    if rows.dtype != pair_dtype(CropConfig().side_px) or rows.shape != (pairs,):
        raise UnreadableInputError(f"{path}: does not hold {pairs} pairs. Remove it and start tinydf-make-pairs.")
    return np.asanyarray(rows)
