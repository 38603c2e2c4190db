"""Trains the RGB branch without each forgery type in turn, and measures all types each time.

python scripts/leave_one_type_out.py --data faces --runs runs --out docs/leave_one_type_out.md

A recipe is better when the type that it never saw is detected better. Every network trains for one pass over as many
pairs, by the recipe of ``compare_networks.py``; stopped, the script goes on where it was. A run takes a core a quarter
of an hour, and 2 GB of disk for its pairs, which are deleted behind it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from compare_networks import BATCH_PAIRS, NETWORKS, train
from measure_exports import cpu_name
from tinydf.checkpoint import load_checkpoint
from tinydf.data.photos import read_photos
from tinydf.data.validation_set import TYPES, VERSION, validation_set
from tinydf.forgery.model import RGBBranch
from tinydf.metrics import Estimate, auc_with_interval
from tinydf_runtime.io.files import write_atomically
from validation_scores import network_scorer, score_pairs

NONE = "none"
SEED = 5
INTRO = """# Leave one forgery type out

AUC of the RGB branch alone on version {version} of the validation set ({count} photos of validation people, five
synthetic forgeries each, coded as video), single crops, with 95 % bootstrap intervals. Each row is a network that
trained without one type: {steps} steps of {batch} pairs in every row, far fewer than the shipped network saw, so that
rows compare with one another alone. In bold, the type that a network never saw. Written on {cpu} by

`{command}`

"""
Table = Mapping[str, Mapping[str, Estimate]]
"""Type that was left out -> type -> AUC."""


@click.command()
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder of photos of real faces.")
@click.option("--runs", type=click.Path(path_type=Path), required=True, help="Folder for a run of each network.")
@click.option("--pairs", default=6400, show_default=True, help="Training pairs of each network.")
@click.option(
    "--type", "types", type=click.Choice(TYPES), multiple=True, help="To leave out; none given: each in turn."
)
@click.option("--count", default=200, show_default=True, help="Photos of validation people.")
@click.option("--out", type=click.Path(path_type=Path), help="Page to write.")
def main(data: Path, runs: Path, pairs: int, types: tuple[str, ...], count: int, out: Path | None) -> None:
    """Trains what is not trained yet, then prints and writes the table."""
    rows = (NONE, *(types or TYPES))
    for left_out in rows:
        train_without(left_out, data, pairs, runs / left_out)
    networks = [RGBBranch(load_checkpoint(runs / row / "run" / "tinydf.safetensors").build()).eval() for row in rows]
    scorers = [network_scorer(network) for network in networks]
    table: dict[str, dict[str, Estimate]] = {row: {} for row in rows}
    for name, series in validation_set(read_photos(data, "val"), count).items():
        for row, found in zip(rows, score_pairs(series, scorers), strict=True):
            table[row][name] = auc_with_interval(*found)
    only = "".join(f" --type {name}" for name in types)
    options = f"--pairs {pairs} --count {count}{only} --out docs/leave_one_type_out.md"
    command = f"python scripts/leave_one_type_out.py --data FACES --runs RUNS {options}"
    steps = pairs // BATCH_PAIRS
    page = INTRO.format(version=VERSION, count=count, steps=steps, batch=BATCH_PAIRS, command=command, cpu=cpu_name())
    page += describe(table)
    click.echo(page)
    if out is not None:
        write_atomically(out, page.encode())


def train_without(left_out: str, data: Path, pairs: int, folder: Path) -> None:
    """Makes the pairs of a row and trains on them, or goes on with that; a row that is done stays."""
    run, made = folder / "run", folder / "pairs"
    if not (run / "tinydf.safetensors").exists():
        command = [sys.executable, "-m", "tinydf.cli.make_pairs", "--data", str(data), "--out", str(made)]
        command += ["--pairs", str(pairs), "--seed", str(SEED)]
        without = [] if left_out == NONE else ["--without", left_out]
        subprocess.run([*command, *without], check=True)
        train(NETWORKS["TinyDF, RGB branch"], data, made, pairs // BATCH_PAIRS, run, *without)
    # Also those that a script left which was stopped between training and here.
    shutil.rmtree(made, ignore_errors=True)


def describe(table: Table) -> str:
    """Returns the table in Markdown: a row for each type that was left out, its own figure in bold."""
    lines = ["| left out | " + " | ".join(TYPES) + " |", "| --- |" + " --- |" * len(TYPES)]
    for left_out, row in table.items():
        cells = [_cell(one, name == left_out) for name, one in row.items()]
        lines.append(f"| {left_out} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(figure: Estimate, bold: bool) -> str:
    value = f"{figure.value:.3f}"
    return f"{f'**{value}**' if bold else value} [{figure.low:.3f}, {figure.high:.3f}]"


if __name__ == "__main__":
    main()
