"""``tinydf-bench``: one table over model files, engines, batch sizes and threads."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich import box
from rich.console import Console
from rich.table import Table

from tinydf_runtime import __version__
from tinydf_runtime.cli.command import OneLineCommand, stopping_on_interrupt
from tinydf_runtime.cli.options import STANDARD_OUTPUT, device_option, json_option, write_figures
from tinydf_runtime.cli.progress import ProgressBar
from tinydf_runtime.errors import ExitCode, UsageError, needs
from tinydf_runtime.models.shipped import DEFAULT_MODEL

if TYPE_CHECKING:
    from tinydf_calibration.sampler import LabelledCrops
    from tinydf_export.bench.row import Row

_FILE = click.Path(path_type=Path)
_CROPS = 512
"""Labelled crops that models are compared on."""


def read_counts(ctx: click.Context, param: click.Parameter, value: str) -> tuple[int, ...]:
    """Returns whole numbers of 1 or more from a list with commas.

    Raises:
        click.BadParameter: The text is none.
    """
    try:
        counts = tuple(int(part) for part in value.split(","))
    except ValueError:
        counts = (0,)
    if min(counts) < 1:
        raise click.BadParameter(f"found {value}, expected whole numbers of 1 or more, such as 1,2.", ctx, param)
    return counts


@click.command(
    "tinydf-bench",
    cls=OneLineCommand,
    epilog="Example: tinydf-bench mine.onnx mine-int8.onnx mine-int8.xml --threads 1,2 --batch 1,8 --plot bench.svg",
)
@click.version_option(__version__)
@click.argument("models", nargs=-1, type=_FILE, metavar="[MODEL...]")
@click.option("--batch", "batches", default="1", show_default=True, callback=read_counts, help="Crops at once: 1,4,8.")
@click.option("--threads", default="1", show_default=True, callback=read_counts, help="Threads of the engine: 1,2.")
@device_option
@click.option("--turns", default=20, show_default=True, type=click.IntRange(1), help="Turns of each row, 3 calls each.")
@click.option("--data", type=_FILE, metavar="FACES", help="Prepared faces: compares on their test part, with AUC.")
@click.option("--plot", type=_FILE, metavar="FILE", help="Latency against accuracy, as .png, .svg or .pdf.")
@json_option
@click.option("--quiet", is_flag=True, help="Print only errors.")
def main(
    models: tuple[Path, ...],
    batches: tuple[int, ...],
    threads: tuple[int, ...],
    device: str,
    turns: int,
    data: Path | None,
    plot: Path | None,
    json_path: Path | None,
    quiet: bool,
) -> int:
    """Measures each MODEL, or the embedded one: size, time to load, latency, faces a second, memory, agreement.

    The others are compared with the first. All are measured in turns, so that what else the machine does hits each
    alike; size, loading and memory are of a fresh process.

    Exit status: 0 done, 2 wrong usage, 5 pictures of --data cannot be read (the rest is measured), 6 model file
    damaged, 7 output could not be written, 130 interrupted (what was measured by then is written).
    """
    paths = models or (DEFAULT_MODEL,)
    silent = quiet or json_path == STANDARD_OUTPUT
    if plot is not None and plot.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise UsageError(f"{plot}: expected a name that ends in .png, .svg or .pdf.")
    with needs("export"):
        from tinydf_export.bench.measure import bench_models
    stop, unread = threading.Event(), list[str]()
    labelled = None if data is None else _read_labelled(data, paths[0], unread.append)
    with ProgressBar("measuring", unit="turns", quiet=silent) as progress, stopping_on_interrupt(stop):
        rows = bench_models(
            paths,
            device=device,
            threads=threads,
            batches=batches,
            turns=turns,
            labelled=labelled,
            report=progress.advance,
            stop=stop,
        )
    figures = {"schema": "tinydf.bench/1", "rows": [asdict(row) for row in rows]}
    write_figures(json.dumps(figures, indent=2) + "\n", json_path)
    if plot is not None:
        with needs("export"):
            from tinydf_export.bench.plot import draw_plot
        draw_plot(rows, plot)
    if not silent:
        console = Console()
        console.print(bench_table(rows))
        for row in rows:
            if row.missing:
                place = f"{row.model}: " if row.model else ""
                console.print(f"{place}{row.missing}", highlight=False, markup=False)
    for reason in dict.fromkeys(unread):
        click.echo(f"tinydf-bench: left out: {reason}", err=True)
    if stop.is_set():
        click.echo("tinydf-bench: interrupted; what was measured is written.", err=True)
        return ExitCode.INTERRUPTED
    return ExitCode.INPUT if unread else ExitCode.DONE


def _read_labelled(folder: Path, model: Path, skip: Callable[[str], None]) -> LabelledCrops:
    """Cuts crops of the test part as the first model wants them."""
    with needs("train"):
        from tinydf_export.inputs.labelled_crops import read_labelled_crops
    from tinydf_runtime.engines.loading import open_engine

    return read_labelled_crops(folder, "test", open_engine(model).spec.crop, _CROPS, skip=skip)


def bench_table(rows: Sequence[Row]) -> Table:
    """Returns the rows that have figures as a table; columns that tell nothing are left out."""
    measured = [row for row in rows if not row.missing]
    cells = {
        "model": [f"{row.model}\n{row.engine}\n{row.precision}" for row in measured],
        "device": [row.device for row in measured] if {row.device for row in measured} != {"cpu"} else [],
        "thr.": [str(row.threads or "") for row in measured],
        "batch": [str(row.batch) for row in measured],
        "MB": [f"{row.size_bytes / 1e6:.1f}" for row in measured],
        "load\nms": [_figure(row.load_ms, ".0f") for row in measured],
        "p50\nms": [_figure(row.p50_ms, ".1f") for row in measured],
        "p95\nms": [_figure(row.p95_ms, ".1f") for row in measured],
        "faces\n/s": [_figure(row.faces_per_s, ".0f") for row in measured],
        "peak\nMB": [_figure(row.peak_bytes and row.peak_bytes / 1e6, ".0f") for row in measured],
        "mean\n|dP|": [_figure(row.mean_difference, ".2g") for row in measured],
        "AUC": [_figure(row.auc, ".4f") for row in measured] if any(row.auc is not None for row in measured) else [],
    }
    shown = {heading: column for heading, column in cells.items() if column}
    caption = (
        f"|dP|: difference in fake probability from the first, {max((row.crops for row in measured), default=0)} crops"
    )
    table = Table(caption=caption, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in shown:
        table.add_column(heading, justify="left" if heading in ("model", "device") else "right", overflow="fold")
    for line in zip(*shown.values(), strict=True):
        table.add_row(*line)
    return table


def _figure(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
