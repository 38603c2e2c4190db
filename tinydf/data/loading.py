"""A series of pairs -> batches of a run, made by worker processes.

PyTorch would turn a worker's error into a long traceback; here the error takes the place of its batch, and
``check_each`` raises it unchanged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric
from torch.utils.data import DataLoader, Dataset

from tinydf.data.dataset import Batch, collate
from tinydf.data.photos import Photo
from tinydf.data.samples import Pair
from tinydf.data.series import training_pairs
from tinydf.data.skipped import Skipped
from tinydf.train_config import TrainConfig
from tinydf_runtime.cli.command import leave_interrupts_to_parent
from tinydf_runtime.errors import TinyDFError


def pair_loader(
    series: Dataset[Pair], batch_pairs: int, workers: int, *, order: range | None = None, pin_memory: bool = False
) -> DataLoader[Any]:
    """Returns a loader of batches, and of errors where pairs could not be made.

    Args:
        series: The pairs.
        batch_pairs: Pairs a batch; the last one may have fewer.
        workers: Processes that make them; 0 makes them in this one.
        order: Numbers of the pairs; all in their order if not given.
        pin_memory: Whether to stage batches for a GPU.
    """
    return DataLoader(
        _Caught(series),
        batch_pairs,
        sampler=order,
        collate_fn=_collate,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        worker_init_fn=_begin_worker,
        pin_memory=pin_memory,
    )


def check_each(batches: Iterable[Batch | TinyDFError]) -> Iterator[Batch]:
    """Yields a loader's batches: images, labels and forgery maps, see ``dataset.collate``.

    Raises:
        TinyDFError: What a pair raised.
    """
    for batch in batches:
        if isinstance(batch, TinyDFError):
            raise batch
        yield batch


class _Caught(Dataset["Pair | TinyDFError"]):
    """A series that returns what it would raise."""

    def __init__(self, series: Dataset[Pair]) -> None:
        self._series = series

    def __len__(self) -> int:
        return len(self._series)  # type: ignore[arg-type]  # torch's Dataset leaves the length out

    def __getitem__(self, index: int) -> Pair | TinyDFError:
        try:
            return self._series[index]
        except TinyDFError as error:
            return error


def _collate(pairs: Sequence[Pair | TinyDFError]) -> Batch | TinyDFError:
    whole = [pair for pair in pairs if isinstance(pair, Pair)]
    return next((pair for pair in pairs if isinstance(pair, TinyDFError)), None) or collate(whole)


def _begin_worker(worker: int) -> None:
    del worker
    leave_interrupts_to_parent()


@dataclass(frozen=True, slots=True)
class BatchSource:
    """Batches of a run, the same on any number of processes.

    Attributes:
        pictures: To make pairs of; none are needed with ``folder``.
        folder: Pairs that ``tinydf-make-pairs`` makes; None to make them here.
        skipped: Takes the names of pictures that cannot be read.
        fabric: Devices and processes.
        workers: Processes that make pairs, on each rank.
    """

    pictures: list[Photo]
    folder: Path | None
    skipped: Skipped
    fabric: Fabric
    workers: int

    def batches(self, config: TrainConfig, start: int = 0) -> Iterator[Batch]:
        """Yields the batches of this process from step ``start`` on, on its device.

        Raises:
            UsageError: The pictures, or the pairs in the folder, are not what the run needs.
            UnreadableInputError: Picture after picture cannot be read, or the folder is damaged.
        """
        length = config.steps * config.batch_pairs
        curriculum = round(length * config.easy_share)
        pairs = training_pairs(config, self.pictures, length, config.seed, curriculum, self.folder, self.skipped)
        ranks = self.fabric.world_size
        # Ranks take turns within each batch, so that the run sees the same pairs on any number of processes.
        own = range(start * config.batch_pairs + self.fabric.global_rank, length, ranks)
        on_gpu = self.fabric.device.type == "cuda"
        loader = pair_loader(pairs, config.batch_pairs // ranks, self.workers, order=own, pin_memory=on_gpu)
        return check_each(self.fabric.setup_dataloaders(loader, use_distributed_sampler=False))  # type: ignore[arg-type]
