"""``tinydf-train``: photos of real faces -> a TinyDF checkpoint."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from tinydf.train_config import Method, Network, Part, TrainConfig
from tinydf_runtime.cli.command import OneLineCommand
from tinydf_runtime.cli.progress import ProgressBar
from tinydf_runtime.errors import ExitCode, UnavailableError, UsageError, needs
from tinydf_runtime.io.files import sha256_of

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from tinydf.data.photos import Photo
    from tinydf.data.shards import PairPlan

DEMO_FACES = 64
DEMO_CONFIG = TrainConfig(steps=30, batch_pairs=8, patch_px=96, validate_every=15)
"""Less than five minutes on two busy cores, and long enough to see the loss fall."""
DEFAULTS = TrainConfig()
BRANCHES = {"rgb": "deep", "noise": "residual"}
"""Names of the branches -> those that checkpoints record, which the option takes too."""


@click.command("tinydf-train", cls=OneLineCommand, epilog="Example: tinydf-train --data FACES --out RUN --patch-px 128")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder of faces that tinydf-prepare made, or photos with a faces.csv.",
)
@click.option(
    "--pairs",
    type=click.Path(path_type=Path),
    metavar="PAIRS",
    help="Folder of pairs that tinydf-make-pairs makes of --data, or is making; it decides the curriculum.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the run.")
@click.option(
    "--init",
    default="none",
    show_default=True,
    metavar="lite1|imagenet|FILE|none",
    help="Weights to start from; lite0 for efficientnet-lite0.",
)
@click.option("--resume", is_flag=True, help="Resume the run in --out, with the settings it was started with.")
@click.option("--demo", is_flag=True, help="Train for minutes on drawn faces, with settings of its own.")
@click.option("--steps", type=click.IntRange(1), default=DEFAULTS.steps, show_default=True, help="Optimiser steps.")
@click.option(
    "--batch-pairs", type=click.IntRange(1), default=DEFAULTS.batch_pairs, show_default=True, help="Pairs a step."
)
@click.option(
    "--patch-px",
    type=click.IntRange(64, 224),
    default=DEFAULTS.patch_px,
    show_default=True,
    help="Side of the patch of each 224 px crop to train on, a multiple of 32: 128 to begin, 224 to finish.",
)
@click.option(
    "--image-px",
    type=click.IntRange(64, 224),
    default=DEFAULTS.image_px,
    show_default=True,
    help="Larger patches are scaled down to this side at first, a multiple of 32: 160 trains twice as fast as 224.",
)
@click.option(
    "--small-share",
    type=click.FloatRange(0, 1),
    default=DEFAULTS.small_share,
    show_default=True,
    help="Share of the steps at --image-px; the rest is at full size.",
)
@click.option(
    "--part",
    type=click.Choice([*get_args(Part), *BRANCHES]),
    callback=lambda context, option, value: BRANCHES.get(value, value),
    default=DEFAULTS.part,
    show_default=True,
    metavar="whole|rgb|noise",
    help="Train all, or one branch: noise is a good first run and takes minutes, rgb takes hours.",
)
@click.option(
    "--network",
    type=click.Choice(get_args(Network)),
    default=DEFAULTS.network,
    show_default=True,
    help="Network to train; those of others are for comparison.",
)
@click.option(
    "--method",
    type=click.Choice(get_args(Method)),
    default=DEFAULTS.method,
    show_default=True,
    help="Forgeries made from real faces, those of a prepared set, or half of each.",
)
@click.option(
    "--without",
    multiple=True,
    metavar="TYPE",
    help="Leave a forgery type out, to measure generalisation to it.",
)
@click.option("--learning-rate", default=DEFAULTS.learning_rate, show_default=True, help="Peak learning rate.")
@click.option(
    "--warmup-share", default=DEFAULTS.warmup_share, show_default=True, help="Share of the steps for warm-up."
)
@click.option(
    "--curriculum-share",
    "--easy-share",
    "easy_share",
    default=DEFAULTS.easy_share,
    show_default=True,
    help="Share of the run over which forgeries grow from coarse to subtle; 0 if --init has learned them.",
)
@click.option(
    "--ema-decay", default=DEFAULTS.ema_decay, show_default=True, help="Decay of the averaged weights, which are kept."
)
@click.option(
    "--validate-every",
    type=click.IntRange(1),
    default=DEFAULTS.validate_every,
    show_default=True,
    help="Steps between validations.",
)
@click.option(
    "--width",
    type=click.FloatRange(0.5, 4),
    default=DEFAULTS.width,
    show_default=True,
    help="Channels of tinydf as a multiple of the shipped network's.",
)
@click.option(
    "--teacher", type=click.Path(path_type=Path), help="Checkpoint to distil from, such as a wider network's."
)
@click.option("--seed", default=DEFAULTS.seed, show_default=True, help="Seed of weights and samples.")
@click.option("--device", default="auto", show_default=True, metavar="auto|cpu|cuda", help="Where to train.")
@click.option(
    "--devices", type=click.IntRange(1), default=1, show_default=True, help="Processes; torchrun sets its own."
)
@click.option(
    "--precision",
    default=DEFAULTS.precision,
    show_default=True,
    metavar="32-true|bf16-mixed|16-mixed",
    help="Of Lightning Fabric.",
)
@click.option("--workers", type=click.IntRange(0), default=1, show_default=True, help="Processes that make samples.")
@click.option("--quiet", is_flag=True, help="Print only errors.")
@click.version_option(package_name="tinydf")
def main(
    data: Path | None,
    pairs: Path | None,
    out: Path,
    init: str,
    resume: bool,
    demo: bool,
    steps: int,
    batch_pairs: int,
    patch_px: int,
    image_px: int,
    small_share: float,
    part: Part,
    network: Network,
    method: Method,
    without: tuple[str, ...],
    learning_rate: float,
    warmup_share: float,
    easy_share: float,
    ema_decay: float,
    validate_every: int,
    width: float,
    teacher: Path | None,
    seed: int,
    device: str,
    devices: int,
    precision: str,
    workers: int,
    quiet: bool,
) -> int:
    """Trains TinyDF on real faces, from which it makes forgeries on the way, or on a prepared set's forgeries.

    OUT gets tinydf.safetensors at the end, best.safetensors of the best validation so far, state.pt for --resume (every
    few minutes and on Ctrl-C), history.csv and history.svg.

    Exit status: 0 done, 2 wrong usage, 4 device or package missing, 5 a picture could not be read (others took its
    place), 6 weights damaged, 7 output could not be written, 130 interrupted (--resume goes on).
    """
    with needs("train"):
        from tinydf.data.skipped import Skipped
        from tinydf.train import SKIPPED_NAME, train
    config = TrainConfig(
        seed=seed,
        steps=steps,
        batch_pairs=batch_pairs,
        patch_px=patch_px,
        image_px=image_px,
        small_share=small_share,
        learning_rate=learning_rate,
        warmup_share=warmup_share,
        easy_share=easy_share,
        ema_decay=ema_decay,
        validate_every=validate_every,
        precision=precision,
        part=part,
        method=method,
        without=list(without),
        network=network,
        width=width,
    )
    if demo:
        config = replace(DEMO_CONFIG, seed=seed, precision=precision)
    if pairs is not None:
        config = replace(config, easy_share=_plan_of(pairs, data).easy_share)
    training, validation = _photos(data, out, demo, pairs is not None)
    fabric = _fabric(device, devices, precision)
    silent = quiet or not fabric.is_global_zero
    with ProgressBar("train", total=config.steps, unit="steps", quiet=silent) as progress:
        path = train(
            config,
            training,
            validation,
            out,
            fabric=fabric,
            init=init,
            teacher=teacher,
            pairs=pairs,
            resume=resume,
            workers=workers,
            report=lambda at: progress.advance(at.step, loss=at.loss, auc=at.validation_auc),
        )
    if not silent:
        click.echo(path)
    left_out = Skipped(out / SKIPPED_NAME).line()
    if left_out is not None and fabric.is_global_zero:
        click.echo(f"tinydf-train: {left_out} {out / SKIPPED_NAME} lists them.", err=True)
    return ExitCode.DONE if left_out is None else ExitCode.INPUT


def _plan_of(pairs: Path, data: Path | None) -> PairPlan:
    """Returns what a folder of pairs holds.

    Raises:
        UnreadableInputError: It holds no pairs.
        UsageError: They were made of another folder than ``data``, whose people could be those of validation.
    """
    from tinydf.data.photos import find_table
    from tinydf.data.shards import read_plan

    if data is None:
        raise UsageError(f"--pairs {pairs}: goes with the --data FACES that the pairs were made of, for validation.")
    plan, _ = read_plan(pairs)
    table = find_table(data)
    if table.is_file() and (found := sha256_of(table)) != plan.table_sha256:
        raise UsageError(
            f"{pairs}: was made of a table with SHA-256 {plan.table_sha256[:8]}, {table} has {found[:8]}. Give the "
            "folder that the pairs were made of, or make them again: nobody may be trained on and validated on."
        )
    return plan


def _photos(data: Path | None, out: Path, demo: bool, paired: bool) -> tuple[list[Photo], list[Photo]]:
    """Returns the pictures to train on, none where pairs were made of them, and those to validate on."""
    from tinydf.data.drawn_faces import write_drawn_faces
    from tinydf.data.photos import read_photos

    if demo == (data is not None):
        raise UsageError("--data FACES or --demo: give exactly one of them.")
    if data is None:
        data = out / "drawn_faces"
        write_drawn_faces(data, DEMO_FACES)
    training, validation = [] if paired else read_photos(data, "train"), read_photos(data, "val")
    for split, photos, needed in (("train", training, not paired), ("val", validation, True)):
        if needed and not photos:
            raise UsageError(f"{data}: no photo with a face in split {split}. Both train and val need some.")
    return training, validation


def _fabric(device: str, devices: int, precision: str) -> Fabric:
    from lightning_fabric import Fabric

    try:
        fabric = Fabric(accelerator=device, devices=devices, precision=precision)  # type: ignore[arg-type]
    except (ValueError, RuntimeError) as error:
        raise UnavailableError(f"--device {device} --precision {precision}: {error}") from error
    fabric.launch()
    return fabric


if __name__ == "__main__":
    main()
