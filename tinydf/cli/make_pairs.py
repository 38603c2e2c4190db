"""``tinydf-make-pairs``: photos of real faces -> pairs of crops, real and forged, for ``tinydf-train`` to read."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tinydf_runtime.cli.command import OneLineCommand
from tinydf_runtime.cli.options import STANDARD_OUTPUT, json_option, write_figures
from tinydf_runtime.cli.progress import ProgressBar
from tinydf_runtime.errors import ExitCode, needs
from tinydf_runtime.machine import core_count

if TYPE_CHECKING:
    from tinydf.data.manifest import Split

NAME = "tinydf-make-pairs"


@click.command(NAME, cls=OneLineCommand, epilog="Example: tinydf-make-pairs --data FACES --out PAIRS --pairs 20000")
@click.option(
    "--data", type=click.Path(path_type=Path), required=True, help="Folder with photos of real faces, as for training."
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the pairs: 0.3 MB each.")
@click.option("--pairs", type=click.IntRange(1), required=True, help="Number of pairs.")
@click.option(
    "--split",
    type=click.Choice(["train", "val", "test"]),
    default="train",
    show_default=True,
    help="Split whose faces are used.",
)
@click.option(
    "--without", multiple=True, metavar="TYPE", help="Leave a forgery type out, to measure generalisation to it."
)
@click.option(
    "--curriculum-share",
    "--easy-share",
    "easy_share",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Share of the pairs over which forgeries grow from coarse to subtle.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of all randomness.")
@click.option("--workers", type=click.IntRange(1), help="Processes; default: one a core.")
@json_option
@click.option("--quiet", is_flag=True, help="Print only errors.")
@click.version_option(package_name="tinydf")
def main(
    data: Path,
    out: Path,
    pairs: int,
    split: Split,
    without: tuple[str, ...],
    easy_share: float,
    seed: int,
    workers: int | None,
    json_path: Path | None,
    quiet: bool,
) -> int:
    """Makes training pairs, each a real crop and a forged one, ahead of training.

    Started again after whatever stopped it, it goes on where it was. Training may read the folder at once: it waits
    for what is not there yet. One command at a time may write to a folder.

    Exit status: 0 done, 2 wrong usage, 5 a photo could not be read (another took its place), 7 output could not be
    written, 130 interrupted.
    """
    with needs("train"):
        from tinydf.data.layouts.listing import name_some
        from tinydf.data.make_pairs import make_pairs, plan_pairs
    silent = quiet or json_path == STANDARD_OUTPUT
    workers = workers or core_count()
    plan = plan_pairs(data, split, pairs, seed, easy_share, without)
    began_s, made = time.perf_counter(), 0
    with ProgressBar("make pairs", plan.pairs, unit="pairs", quiet=quiet) as progress:

        def show(there: int, now: int) -> None:
            nonlocal made
            made = now
            progress.advance(there)

        result = make_pairs(data, out, plan, workers, show)
    rate = made / (time.perf_counter() - began_s)
    figures = {**asdict(plan), "folder": str(out), "files_made": result.shards, "files_resumed": result.resumed}
    figures |= {"skipped": result.skipped, "workers": workers, "pairs_per_second": round(rate, 2)}
    write_figures(json.dumps({"schema": "tinydf.make-pairs/1", **figures}, indent=2) + "\n", json_path)
    if not silent:
        click.echo(f"{out}: {plan.pairs} pairs, {rate:.1f} a second, {rate / workers:.1f} a second and process")
    if result.skipped:
        click.echo(
            f"{NAME}: {len(result.skipped)} photos could not be read, others took their places: "
            f"{name_some([_file_in(reason) for reason in result.skipped])}.",
            err=True,
        )
        return ExitCode.INPUT
    return ExitCode.DONE


def _file_in(reason: str) -> str:
    return reason.partition(": ")[0]


if __name__ == "__main__":
    main()
