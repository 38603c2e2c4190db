"""``tinydf-calibrate``: checkpoint + prepared faces -> the table that every INT8 export starts from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from tinydf_runtime import __version__
from tinydf_runtime.cli.command import OneLineCommand
from tinydf_runtime.cli.options import STANDARD_OUTPUT, json_option, write_figures
from tinydf_runtime.cli.progress import ProgressBar
from tinydf_runtime.errors import ExitCode, OutputError, QualityError, UsageError, needs
from tinydf_runtime.io.files import write_atomically

if TYPE_CHECKING:
    from tinydf_calibration.table import CalibrationTable

_FILE = click.Path(path_type=Path)
_MODEL_ENDINGS = (".safetensors", ".pt", ".onnx")


@click.command(
    "tinydf-calibrate",
    cls=OneLineCommand,
    epilog="Example: tinydf-calibrate runs/mine/tinydf.safetensors --data faces --out mine.calibration.json",
)
@click.version_option(__version__)
@click.argument("checkpoint", required=False, type=_FILE)
@click.option("--data", type=_FILE, metavar="FACES", help="Folder with faces.parquet or faces.csv.")
@click.option(
    "--rekey",
    "old",
    type=_FILE,
    metavar="TABLE",
    help="Instead of --data: re-key this table of CHECKPOINT, made with another version of torch or TinyDF.",
)
@click.option("--out", required=True, type=_FILE, metavar="TABLE", help="JSON file to write.")
@click.option(
    "--max-auc-drop",
    type=click.FloatRange(0, 1),
    default=0.005,
    show_default=True,
    help="Largest loss of AUC that 8 bit may cost.",
)
@click.option(
    "--samples",
    type=click.IntRange(1),
    default=256,
    show_default=True,
    help="Crops of split train to collect ranges from.",
)
@click.option(
    "--pairs",
    type=click.IntRange(1),
    default=300,
    show_default=True,
    help="Real and forged crops of split val, this many of each, to compare methods on.",
)
@click.option("--seed", default=0, show_default=True, help="Seed of the choice of crops and of synthetic forgeries.")
@click.option("--html", type=_FILE, metavar="FILE", help="One page: methods, layers in float, cost of each layer.")
@json_option
@click.option("--quiet", is_flag=True, help="Print only errors.")
def main(
    checkpoint: Path | None,
    data: Path | None,
    old: Path | None,
    out: Path,
    max_auc_drop: float,
    samples: int,
    pairs: int,
    seed: int,
    html: Path | None,
    json_path: Path | None,
    quiet: bool,
) -> int:
    """Measures what INT8 needs to know about CHECKPOINT, or about the shipped one where none is named.

    Ranges come from split train, choices are judged on split val; split test is never touched. The table is valid for
    these very weights: exports refuse it for others. A folder of real photos alone is judged on forgeries that code
    makes of them. With --rekey nothing is measured: a table keeps its ranges and gets the key of the graph that the
    installed versions write for its checkpoint.

    Exit status: 0 done, 2 wrong usage, 3 no choice keeps to --max-auc-drop (the table is written), 5 pictures cannot be
    read (the table is written if enough can be), 6 checkpoint damaged, 7 output could not be written, 130 interrupted
    (nothing is written).
    """
    _check_outputs([path for path in (out, html, json_path) if path is not None and path != STANDARD_OUTPUT])
    if (data is None) == (old is None):
        raise UsageError("--data, --rekey: expected one of them: faces to measure on, or a table whose ranges to keep.")
    with needs("export"):
        from tinydf.checkpoint import load_checkpoint, load_default
        from tinydf.data.skipped import Skipped
        from tinydf_calibration.report import render_page, to_json
        from tinydf_calibration.table import write_table
        from tinydf_export.inputs.calibrate import calibrate_checkpoint, rekey_table
    loaded = load_default() if checkpoint is None else load_checkpoint(checkpoint)
    skipped = Skipped()
    if data is None:
        assert old is not None
        table = rekey_table(loaded, old)
    else:
        with ProgressBar("calibrating", quiet=quiet) as progress:
            table = calibrate_checkpoint(
                loaded,
                data,
                samples=samples,
                validation_pairs=pairs,
                max_auc_drop=max_auc_drop,
                seed=seed,
                report=lambda stage, done, total: progress.advance(done, total, stage=stage),
                skip=skipped.note,
            ).table
    write_table(table, out)
    if html is not None:
        measured_on = "the faces of its table" if data is None else data.name
        title = f"{'the shipped checkpoint' if checkpoint is None else checkpoint.name} on {measured_on}"
        write_atomically(html, render_page(table, title).encode())
    write_figures(to_json(table, out), json_path)
    if not quiet and json_path != STANDARD_OUTPUT:
        Console().print(_outcome(table, out))
    if (line := skipped.line()) is not None:
        click.echo(f"tinydf-calibrate: {line}", err=True)
    require(table, max_auc_drop)
    return ExitCode.INPUT if skipped.reasons() else ExitCode.DONE


def _check_outputs(paths: list[Path]) -> None:
    """Checks the outputs before the work."""
    for path in paths:
        # "--json MODEL" takes the model for the file to write.
        if path.suffix.lower() in _MODEL_ENDINGS:
            raise UsageError(f"{path}: is the name of a model. Name a .json or .html file.")
        if not path.resolve().parent.is_dir():
            raise OutputError(f"{path}: there is no folder {path.parent}. Make it first.")
    if len({path.resolve() for path in paths}) < len(paths):
        raise UsageError(f"{paths[0]}: is named for two outputs. Give each a file of its own.")


def _outcome(table: CalibrationTable, out: Path) -> Table:
    measured = table.measured
    shown = Table(
        title=f"{out}: ranges by {table.method}, {len(table.float_layers)} nodes in float",
        caption=f"against float, on {measured['crops']['validation']} crops of split val",
    )
    for heading in ("8 bit as in", "mean |dP|", "largest", "flipped", "AUC lost", "95 %", "bounds"):
        shown.add_column(heading, justify="left" if heading == "8 bit as in" else "right")
    for scheme, one in measured["agreement"].items():
        lost = "-" if one["auc_drop"] is None else f"{one['auc_drop']:+.4f}"
        span = "-" if one["auc_drop"] is None else f"{one['auc_drop_low']:+.4f} to {one['auc_drop_high']:+.4f}"
        shown.add_row(
            scheme,
            f"{one['mean_difference']:.4f}",
            f"{one['max_difference']:.3f}",
            f"{one['flipped']:.1%}",
            lost,
            span,
            "kept" if measured["bounds_kept"][scheme] else "missed",
        )
    return shown


def require(table: CalibrationTable, max_auc_drop: float) -> None:
    """Accepts a table whose network loses no more than was allowed.

    Raises:
        QualityError: It loses more, even with every layer in float that the search could find.
    """
    drops = {scheme: one["auc_drop"] or 0.0 for scheme, one in table.measured["agreement"].items()}
    worst = max(drops, key=lambda scheme: drops[scheme])
    # Written so that NaN is refused too.
    if not drops[worst] <= max_auc_drop:
        raise QualityError(
            f"{worst}: loses {drops[worst]:.4f} of AUC, expected at most {max_auc_drop:g}. Calibrate on more crops "
            "with --samples, or allow more with --max-auc-drop."
        )


if __name__ == "__main__":
    main()
