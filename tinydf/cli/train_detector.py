"""``tinydf-train-detector``: photos with labelled faces -> weights of the face detector."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import get_args

import click

from tinydf.facedetector.config import DetectorConfig, Precision
from tinydf_runtime.cli.command import OneLineCommand, stopping_on_interrupt
from tinydf_runtime.cli.progress import ProgressBar
from tinydf_runtime.errors import ExitCode, UnavailableError, needs

_DEFAULTS = DetectorConfig()


@click.command(
    "tinydf-train-detector",
    cls=OneLineCommand,
    epilog="Example: tinydf-train-detector --data FACES --out RUN --steps 9000",
)
@click.version_option(package_name="tinydf")
@click.option("--data", required=True, type=click.Path(path_type=Path), help="Folder with faces.csv and its photos.")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Folder of the run: weights, state and log."
)
@click.option("--steps", type=click.IntRange(1), default=_DEFAULTS.steps, show_default=True, help="Optimiser steps.")
@click.option(
    "--batch-size", type=click.IntRange(1), default=_DEFAULTS.batch_size, show_default=True, help="Pictures a step."
)
@click.option("--grow-at", default=_DEFAULTS.grow_at, show_default=True, help="Step from which pictures are 320 px.")
@click.option(
    "--bind-levels-at",
    default=_DEFAULTS.bind_levels_at,
    show_default=True,
    help="Step from which a face's size decides its strides.",
)
@click.option(
    "--average-from",
    default=_DEFAULTS.average_from,
    show_default=True,
    help="Step at which the weight average restarts.",
)
@click.option(
    "--decay-share",
    default=_DEFAULTS.decay_share,
    show_default=True,
    help="Share of the run with a falling learning rate.",
)
@click.option("--learning-rate", default=_DEFAULTS.learning_rate, show_default=True, help="Highest learning rate.")
@click.option("--seed", default=_DEFAULTS.seed, show_default=True, help="Seed of weights and pictures.")
@click.option(
    "--validation-pictures", default=_DEFAULTS.validation_pictures, show_default=True, help="Number of pictures."
)
@click.option(
    "--teacher", type=click.Path(path_type=Path), help="YuNet file that looks for faces missing in the table."
)
@click.option("--scenes", type=click.Path(path_type=Path), help="Folder with scenes.csv: pictures of the world.")
@click.option(
    "--init", type=click.Path(path_type=Path), help="Weights to start from, of a network as wide or narrower."
)
@click.option(
    "--mine-every",
    type=click.IntRange(0),
    default=_DEFAULTS.mine_every,
    show_default=True,
    help="Steps between searches of the scenes for false positives; 0: never.",
)
@click.option(
    "--warmup-steps", default=_DEFAULTS.warmup_steps, show_default=True, help="Steps of a rising learning rate."
)
@click.option(
    "--validate-every",
    type=click.IntRange(1),
    default=_DEFAULTS.validate_every,
    show_default=True,
    help="Steps between validations.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option(
    "--precision",
    type=click.Choice(get_args(Precision)),
    default=_DEFAULTS.precision,
    show_default=True,
    help="bf16-mixed is faster where processor or GPU computes in bfloat16.",
)
@click.option("--threads", default=0, help="Threads of the network on a CPU; 0: all cores.")
@click.option("--workers", default=1, show_default=True, help="Processes that draw pictures.")
@click.option("--resume", is_flag=True, help="Resume the run in --out.")
@click.option("--quiet", is_flag=True, help="Print only errors.")
def main(
    data: Path,
    out: Path,
    steps: int,
    batch_size: int,
    grow_at: int,
    bind_levels_at: int,
    average_from: int,
    decay_share: float,
    learning_rate: float,
    seed: int,
    validation_pictures: int,
    teacher: Path | None,
    scenes: Path | None,
    init: Path | None,
    mine_every: int,
    warmup_steps: int,
    validate_every: int,
    device: str,
    precision: Precision,
    threads: int,
    workers: int,
    resume: bool,
    quiet: bool,
) -> int:
    """Trains the face detector on photos with labelled faces.

    Exit status: 0 done, 2 wrong usage, 4 device missing, 5 the table cannot be read, 6 the state is damaged, 7 output
    could not be written, 130 interrupted (the state is saved; --resume goes on).
    """
    with needs("train"):
        import cv2
        import torch

        from tinydf.facedetector.photos import Pictures, add_second_look, read_photos
        from tinydf.facedetector.scenes import LEAST_DOUBT, read_scenes
        from tinydf.facedetector.teacher import look_again_cached
        from tinydf.facedetector.threshold import set_threshold
        from tinydf.facedetector.train import make_folder, train
        from tinydf.facedetector.weights import load_detector
    # OpenCV's own threads would compete with the network's, and a worker forked while they run never gets its locks.
    cv2.setNumThreads(1)
    if threads:
        torch.set_num_threads(threads)
    config = DetectorConfig(
        steps=steps,
        batch_size=batch_size,
        grow_at=grow_at,
        bind_levels_at=bind_levels_at,
        average_from=average_from,
        decay_share=decay_share,
        learning_rate=learning_rate,
        seed=seed,
        validation_pictures=validation_pictures,
        mine_every=mine_every,
        warmup_steps=warmup_steps,
        validate_every=validate_every,
        precision=precision,
    )
    chosen = _device(device)
    start = None if init is None else load_detector(init)
    photos, held_out = read_photos(data, "train"), Pictures(read_photos(data, "val"))
    world = []
    if scenes is not None:
        world, held_out = (
            read_scenes(scenes, "train", LEAST_DOUBT),
            replace(held_out, scenes=read_scenes(scenes, "val")),
        )
    make_folder(out)
    if teacher is not None:
        photos = add_second_look(photos, look_again_cached(photos, teacher, out / "second_look.json"))
    origin: dict[str, object] = {"photos": len(photos), "scenes": len(world), "second_look": teacher is not None}
    origin |= {"init": None if start is None else start.sha256}
    stop = threading.Event()
    with ProgressBar("train", steps, unit="steps", quiet=quiet) as progress, stopping_on_interrupt(stop):

        def show(step: int, loss: float, average_precision: float | None) -> None:
            progress.advance(step, loss=loss, AP=average_precision)

        best = train(
            *(Pictures(photos, world), held_out, out, config),
            init=None if start is None else start.network,
            resume=resume,
            device=chosen,
            workers=workers,
            origin=origin,
            report=show,
            stop=stop,
        )
    if stop.is_set():
        click.echo(f"tinydf-train-detector: interrupted; the state is saved. --resume --out {out} goes on.", err=True)
        return ExitCode.INTERRUPTED
    # Few boxes are wrong: a threshold that hangs on their number needs more pictures than a recall does.
    threshold = set_threshold(best, held_out, 3 * validation_pictures, seed)
    if not quiet:
        click.echo(f"{best} score threshold {threshold:.2f}")
    return ExitCode.DONE


def _device(name: str) -> str:
    """Returns a device that torch has."""
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        raise UnavailableError(f"--device {name}: {str(error).splitlines()[0]} Use cpu, or auto.") from error
    return name


if __name__ == "__main__":
    main()
