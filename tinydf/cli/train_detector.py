"""``tinydf-train-detector``: photos with labelled faces -> weights of the face detector."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import click

from tinydf_runtime.errors import TinyDFError, needs

with needs("train"):
    import cv2
    import torch

    from tinydf.facedetector.photos import add_second_look, read_photos
    from tinydf.facedetector.teacher import look_again_cached
    from tinydf.facedetector.train import DetectorConfig, train

_DEFAULTS = DetectorConfig()


@click.command(epilog="Example: tinydf-train-detector --data faces --out runs/detector --steps 9000")
@click.version_option(package_name="tinydf")
@click.option("--data", required=True, type=click.Path(path_type=Path), help="Folder with faces.csv and its photos.")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Folder of the run: weights, state and log."
)
@click.option("--steps", default=_DEFAULTS.steps, show_default=True, help="Optimiser steps.")
@click.option("--batch-size", default=_DEFAULTS.batch_size, show_default=True, help="Pictures a step.")
@click.option("--grow-at", default=_DEFAULTS.grow_at, show_default=True, help="Step from which pictures are 320 px.")
@click.option("--learning-rate", default=_DEFAULTS.learning_rate, show_default=True, help="Highest learning rate.")
@click.option("--seed", default=_DEFAULTS.seed, show_default=True, help="Seed of weights and pictures.")
@click.option(
    "--teacher", type=click.Path(path_type=Path), help="YuNet file that looks for faces missing in the table."
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--threads", default=0, help="Threads of the network on a CPU; 0: all cores.")
@click.option("--workers", default=1, show_default=True, help="Processes that draw pictures.")
@click.option("--resume", is_flag=True, help="Go on with the run in --out.")
@click.option("--quiet", is_flag=True, help="Print only errors.")
def main(
    data: Path,
    out: Path,
    steps: int,
    batch_size: int,
    grow_at: int,
    learning_rate: float,
    seed: int,
    teacher: Path | None,
    device: str,
    threads: int,
    workers: int,
    resume: bool,
    quiet: bool,
) -> None:
    """Trains the face detector on photos with labelled faces."""
    logging.basicConfig(level=logging.WARNING if quiet else logging.INFO, format="%(message)s")
    # OpenCV's own threads would compete with the network's, and a worker forked while they run never gets its locks.
    cv2.setNumThreads(1)
    if threads:
        torch.set_num_threads(threads)
    config = DetectorConfig(steps=steps, batch_size=batch_size, grow_at=grow_at, learning_rate=learning_rate, seed=seed)
    try:
        out.mkdir(parents=True, exist_ok=True)
        photos, held_out = read_photos(data, "train"), read_photos(data, "val")
        if teacher is not None:
            photos = add_second_look(photos, look_again_cached(photos, teacher, out / "second_look.json"))
        chosen = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        origin = {"photos": len(photos), "second_look": teacher is not None}
        best = train(photos, held_out, out, config, resume=resume, device=chosen, workers=workers, origin=origin)
    except TinyDFError as error:
        click.echo(f"tinydf-train-detector: {error}", err=True)
        sys.exit(error.exit_code)
    if not quiet:
        click.echo(best)


if __name__ == "__main__":
    main()
