"""``tinydf-build-plan``: ONNX file -> TensorRT plan, on the device that will run it, without PyTorch."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import click

from tinydf_export.targets.tensorrt.build import BuiltPlan, build_from_onnx
from tinydf_export.targets.tensorrt.options import PlanOptions
from tinydf_runtime import __version__
from tinydf_runtime.cli.command import OneLineCommand
from tinydf_runtime.cli.options import STANDARD_OUTPUT, json_option, write_figures
from tinydf_runtime.cli.progress import ProgressBar

_FILE = click.Path(path_type=Path)
Command = TypeVar("Command", bound=Callable[..., Any])


def plan_options(command: Command) -> Command:
    """Adds the options that ``make_options`` takes."""
    for option in (
        click.option("--version-compatible", is_flag=True, help="TensorRT: let later versions load the plan too."),
        click.option("--dla-core", type=click.IntRange(0), help="TensorRT: deep learning accelerator to build for."),
        click.option("--timing-cache", type=_FILE, help="TensorRT: cache that makes later builds fast and alike."),
        click.option(
            "--max-batch", type=click.IntRange(1), help="TensorRT: faces computed at once at most.  [default: 16]"
        ),
    ):
        command = option(command)
    return command


def make_options(
    max_batch: int | None, timing_cache: Path | None, dla_core: int | None, version_compatible: bool
) -> PlanOptions:
    """Returns the options as given, with the default for what was left out."""
    return PlanOptions(
        max_batch=max_batch or PlanOptions().max_batch,
        dla_core=dla_core,
        version_compatible=version_compatible,
        timing_cache=timing_cache,
    )


@click.command(
    "tinydf-build-plan", cls=OneLineCommand, epilog="Example: tinydf-build-plan tinydf.onnx --timing-cache trt.cache"
)
@click.version_option(__version__)
@click.argument("source", metavar="FILE.onnx", type=_FILE)
@click.option("--out", type=_FILE, help="Plan to write.  [default: FILE.plan]")
@plan_options
@json_option
@click.option("--quiet", is_flag=True, help="Print only errors.")
def main(
    source: Path,
    out: Path | None,
    max_batch: int | None,
    timing_cache: Path | None,
    dla_core: int | None,
    version_compatible: bool,
    json_path: Path | None,
    quiet: bool,
) -> None:
    """Builds a TensorRT plan of FILE.onnx for the GPU of this machine. Needs neither PyTorch nor onnx.

    The plan is left only if it scores the golden crops as the checkpoint did. FILE.onnx is what tinydf-export --target
    tensorrt leaves where there is no GPU; it holds network and precision.

    Exit status: 0 done, 2 wrong usage, 3 the plan would not do what its checkpoint does (none is written), 4 TensorRT
    or GPU missing, 6 FILE.onnx damaged or foreign, 7 output could not be written, 130 interrupted (nothing is written).
    """
    options = make_options(max_batch, timing_cache, dla_core, version_compatible)
    build(source, out or source.with_suffix(".plan"), options, json_path, quiet)


def build(source: Path, out: Path, options: PlanOptions, json_path: Path | None, quiet: bool) -> None:
    """Builds a plan and prints its figures."""
    with ProgressBar(f"building {out.name}", quiet=quiet):
        built = build_from_onnx(source, out, options)
    write_figures(json.dumps(_figures(built), indent=2) + "\n", json_path)
    if not quiet and json_path != STANDARD_OUTPUT:
        found = built.verification
        click.echo(
            f"{built.path}: {built.spec.precision}, {built.size_bytes / 1e6:.1f} MB, probabilities within "
            f"{found.max_difference:.1g} of the checkpoint's on {len(found.found)} golden crops, on this device"
        )


def _figures(built: BuiltPlan) -> dict[str, Any]:
    return {
        "schema": "tinydf.export/1",
        "path": str(built.path),
        "target": "tensorrt",
        "size_bytes": built.size_bytes,
        "verification": asdict(built.verification),
        "spec": json.loads(built.spec.to_json()),
    }
