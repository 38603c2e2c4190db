"""Measures how many training pairs a second the worker processes of a training run make.

Run: python scripts/bench_pairs.py --data FACES --workers 4 (needs the extra "train"). Each pair is made as training
makes it: read, forged, degraded and coded alike, cropped. Processor time says what a pair costs on a busy machine too.
"""

from __future__ import annotations

import resource
import tempfile
import time
from pathlib import Path

import click
from torch.utils.data import DataLoader

from tinydf.data.dataset import collate
from tinydf.data.drawn_faces import write_drawn_faces
from tinydf.data.photos import read_photos
from tinydf.data.series import training_pairs
from tinydf.train_config import TrainConfig

BATCH_PAIRS = 8
DRAWN_FACES = 64


@click.command()
@click.option("--data", type=click.Path(path_type=Path), help="Folder of faces; default: drawn ones.")
@click.option("--pairs", type=click.IntRange(1), default=200, show_default=True)
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes.")
@click.option("--seed", default=0, show_default=True)
def main(data: Path | None, pairs: int, workers: int, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        if data is None:
            data = Path(folder)
            write_drawn_faces(data, DRAWN_FACES)
        _measure(data, pairs, workers, seed)


def _measure(data: Path, pairs: int, workers: int, seed: int) -> None:
    # The first batch of each process is made while it starts.
    warm_up = workers
    batches = warm_up + -(-pairs // BATCH_PAIRS)
    series = training_pairs(TrainConfig(seed=seed), read_photos(data, "train"), batches * BATCH_PAIRS, seed)
    ready = iter(DataLoader(series, BATCH_PAIRS, collate_fn=collate, num_workers=workers, prefetch_factor=1))
    for _ in range(warm_up):
        next(ready)
    began_s = time.perf_counter()
    made = sum(len(images) // 2 for images, _, _ in ready)
    wall_s = time.perf_counter() - began_s
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Processes count when they have ended: the time of all batches, and of their start.
    processor_s = (usage.ru_utime + usage.ru_stime) / (batches * BATCH_PAIRS)
    click.echo(
        f"{made} pairs, {workers} processes: {made / wall_s:.1f} pairs/s, {made / wall_s / workers:.1f} a process; "
        f"{1000 * processor_s:.0f} ms of processor time a pair, {1 / processor_s:.1f} pairs/s on a core of its own"
    )


if __name__ == "__main__":
    main()
