"""Where a run's batches come from: pairs made on the way, or read from a folder of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lightning_fabric import Fabric

from tinydf.data.dataset import Batch
from tinydf.data.loading import check_each, pair_loader
from tinydf.data.photos import Photo
from tinydf.data.series import training_pairs
from tinydf.data.skipped import Skipped
from tinydf.train_config import TrainConfig


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
        """Returns a run's batches from step ``start`` on, on the device."""
        length = config.steps * config.batch_pairs
        curriculum = round(length * config.easy_share)
        pairs = training_pairs(config, self.pictures, length, config.seed, curriculum, self.folder, self.skipped)
        ranks = self.fabric.world_size
        # Ranks take turns within each batch, so that the run sees the same pairs on any number of processes.
        own = range(start * config.batch_pairs + self.fabric.global_rank, length, ranks)
        on_gpu = self.fabric.device.type == "cuda"
        loader = pair_loader(pairs, config.batch_pairs // ranks, self.workers, order=own, pin_memory=on_gpu)
        return check_each(self.fabric.setup_dataloaders(loader, use_distributed_sampler=False))  # type: ignore[arg-type]
