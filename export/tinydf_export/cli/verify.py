"""``tinydf-verify``: model file -> does it still score its golden crops as its checkpoint does?"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from tinydf_export.parity.verify import DetectorVerification, Verification, is_detector, verify_detector, verify_model
from tinydf_runtime import __version__
from tinydf_runtime.cli.command import OneLineCommand
from tinydf_runtime.cli.options import STANDARD_OUTPUT, device_option, json_option, write_figures
from tinydf_runtime.errors import QualityError, needs

_FILE = click.Path(path_type=Path)


@click.command("tinydf-verify", cls=OneLineCommand, epilog="Example: tinydf-verify mine.onnx")
@click.version_option(__version__)
@click.argument("model", type=_FILE)
@device_option
@click.option("--threads", type=int, help="Threads on the CPU; default: the engine's choice.")
@click.option("--layers", "reference", type=_FILE, help="Float32 .onnx export to compare MODEL with, layer by layer.")
@json_option
@click.option("--quiet", is_flag=True, help="Print only errors.")
def main(
    model: Path, device: str, threads: int | None, reference: Path | None, json_path: Path | None, quiet: bool
) -> None:
    """Replays the golden crops stored with MODEL and compares the probabilities with its checkpoint's.

    With --layers it also tells where MODEL and its float32 export part. Of a face detector only the file is checked.
    Exits 3 where MODEL differs from its checkpoint, 6 where one byte of its files is not as it was exported.
    """
    if is_detector(model):
        _show_detector(verify_detector(model), json_path, quiet)
        return
    result = verify_model(model, device, threads)
    figures = {"schema": "tinydf.verify/1", "passed": result.passed, **asdict(result)}
    tables = [_verify_table(result)]
    if reference is not None:
        with needs("export"):
            from tinydf_export.parity.layers import compare_files, layer_table, list_layers
        layers = compare_files(model, reference)
        figures["layers"] = list_layers(layers)
        tables.append(layer_table(layers))
    write_figures(json.dumps(figures, indent=2) + "\n", json_path)
    if not quiet and json_path != STANDARD_OUTPUT:
        Console().print(*tables, sep="\n")
    if not result.passed:
        raise QualityError(
            f"{result.model}: differs from its checkpoint by {result.max_difference:.2g}, expected at most "
            f"{result.tolerance:g}. Export it again, or use another engine or device."
        )


def _show_detector(result: DetectorVerification, json_path: Path | None, quiet: bool) -> None:
    """Writes and prints that a face detector is whole."""
    figures = {"schema": "tinydf.verify/1", "passed": True, **asdict(result)}
    write_figures(json.dumps(figures, indent=2) + "\n", json_path)
    if not quiet and json_path != STANDARD_OUTPUT:
        click.echo(f"{result.model}: face detector {result.name}, as it was exported; SHA-256 {result.sha256}")


def _verify_table(result: Verification) -> Table:
    title = f"{result.model} · {result.precision} · {result.engine} on {result.device}"
    table = Table(title=title, caption=f"largest difference {result.max_difference:.2g}, allowed {result.tolerance:g}")
    for heading in ("golden crop", "expected", "found", "difference"):
        table.add_column(heading, justify="right")
    for index, (expected, found) in enumerate(zip(result.expected, result.found, strict=True), start=1):
        table.add_row(str(index), f"{expected:.6f}", f"{found:.6f}", f"{abs(found - expected):.2g}")
    return table
