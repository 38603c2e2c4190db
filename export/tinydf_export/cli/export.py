"""``tinydf-export``: checkpoint -> model file, which is left only if it scores as the checkpoint does."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tinydf_export.cli.build_plan import build, make_options, plan_options
from tinydf_export.targets.table import TARGETS, check_target, find_target
from tinydf_export.targets.tensorrt.options import PlanOptions
from tinydf_runtime import __version__
from tinydf_runtime.cli.command import OneLineCommand
from tinydf_runtime.cli.options import STANDARD_OUTPUT, json_option, write_figures
from tinydf_runtime.cli.progress import ProgressBar
from tinydf_runtime.errors import ExitCode, UsageError, needs
from tinydf_runtime.models.spec import Precision

if TYPE_CHECKING:
    from tinydf_export.request import ExportedModel

_FILE = click.Path(path_type=Path)


@click.command(
    "tinydf-export",
    cls=OneLineCommand,
    epilog="Example: tinydf-export runs/mine/tinydf.safetensors --target onnx --out mine.onnx",
)
@click.version_option(__version__)
@click.argument("checkpoint", required=False, type=_FILE)
@click.option("--target", required=True, help=f"Format to write: {', '.join(TARGETS)}.")
@click.option("--int8", is_flag=True, help="Compute in 8 bit (coreml: store weights in 8 bit). See --calibration.")
@click.option(
    "--int8-activations",
    is_flag=True,
    help="coreml: compute in 8 bit too, not only store the weights.",
)
@click.option("--fp16", is_flag=True, help="Compute in float16 where that is safe.")
@click.option(
    "--calibration", type=_FILE, help="Table that tinydf-calibrate wrote for CHECKPOINT; the shipped one has its own."
)
@click.option("--data", type=_FILE, help="Folder of prepared faces: measures the export, and calibrates --int8.")
@click.option(
    "--max-auc-drop",
    type=click.FloatRange(0, 1),
    default=0.005,
    show_default=True,
    help="Largest loss of AUC on --data; a worse export writes no file and exits 3.",
)
@click.option(
    "--from-onnx",
    "source",
    type=_FILE,
    help="TensorRT: the same as tinydf-build-plan FILE.",
)
@plan_options
@click.option("--out", required=True, type=_FILE, help="File to write.")
@json_option
@click.option("--quiet", is_flag=True, help="Print only errors.")
def main(
    checkpoint: Path | None,
    target: str,
    int8: bool,
    int8_activations: bool,
    fp16: bool,
    calibration: Path | None,
    data: Path | None,
    max_auc_drop: float,
    source: Path | None,
    max_batch: int | None,
    timing_cache: Path | None,
    dla_core: int | None,
    version_compatible: bool,
    out: Path,
    json_path: Path | None,
    quiet: bool,
) -> int:
    """Exports CHECKPOINT, or the shipped one where none is named, as one self-contained model file.

    The file is left only if it scores as the checkpoint does: on golden crops as closely as its precision allows, and
    on the faces of --data with no more loss of AUC than --max-auc-drop.

    Exit status: 0 done, 2 wrong usage, 3 the file would not do what its checkpoint does (none is written), 4 library or
    device missing, 5 pictures of --data cannot be read (the file is written if enough can be), 6 checkpoint or table
    damaged, 7 output could not be written, 130 interrupted (nothing is written).
    """
    plan = make_options(max_batch, timing_cache, dla_core, version_compatible)
    if target != "tensorrt" and (source is not None or plan != PlanOptions()):
        raise UsageError(f"target: found {target} with options of a TensorRT plan, expected tensorrt.")
    if source is not None:
        if checkpoint is not None or int8 or fp16 or calibration is not None or data is not None:
            raise UsageError("--from-onnx: the file holds network and precision. Leave checkpoint and these out.")
        build(source, out, plan, json_path, quiet)
        return ExitCode.DONE
    precision = _precision(target, int8, int8_activations, fp16, calibration)
    check_target(target, out, precision)
    with needs("export"):
        from tinydf.checkpoint import load_checkpoint, load_default
        from tinydf.data.skipped import Skipped
        from tinydf_export.inputs.gather import gather_inputs
        from tinydf_export.request import ExportRequest
        from tinydf_export.runner import run
    loaded = load_default() if checkpoint is None else load_checkpoint(checkpoint)
    skipped = Skipped()
    with ProgressBar("reading", quiet=quiet) as progress:

        def report(stage: str, done: int, total: int) -> None:
            progress.advance(done, total, stage=stage)

        inputs = gather_inputs(loaded, precision, calibration, data, max_auc_drop, report=report, skip=skipped.note)
        progress.advance(0, stage=f"writing and checking {out.name}")
        request = ExportRequest(
            loaded,
            target,
            out,
            precision=precision,
            table=inputs.table,
            crops=inputs.crops,
            max_auc_drop=max_auc_drop,
            plan=plan if target == "tensorrt" else None,
        )
        exported = run(request)
    write_figures(json.dumps(_export_figures(exported, target), indent=2) + "\n", json_path)
    if not quiet and json_path != STANDARD_OUTPUT:
        click.echo(_summary(exported))
    if (line := skipped.line()) is not None:
        click.echo(f"tinydf-export: {line}", err=True)
        return ExitCode.INPUT
    return ExitCode.DONE


def _precision(target: str, int8: bool, int8_activations: bool, fp16: bool, calibration: Path | None) -> Precision:
    """Returns the precision that the options ask for.

    Raises:
        UsageError: They contradict each other.
    """
    row = find_target(target)
    if (int8 or int8_activations) and fp16:
        raise UsageError("--int8, --fp16: found both, expected one of them.")
    if calibration is not None and not (int8 or int8_activations):
        raise UsageError("--calibration: only --int8 uses a table. Add --int8, or leave the table out.")
    return "int8" if int8_activations else row.int8 if int8 else "fp16" if fp16 else row.precisions[0]


def _summary(exported: ExportedModel) -> str:
    golden, given = exported.parity.golden, exported.parity.given
    text = (
        f"{exported.path}: {exported.spec.precision}, {exported.size_bytes / 1e6:.1f} MB, probabilities within "
        f"{golden.max_difference:.1g} of the checkpoint's on {golden.crops} golden crops"
    )
    if given is not None:
        text += (
            f"; on {given.crops} given crops mean difference {given.mean_difference:.2g}, {given.flipped:.1%} of "
            "verdicts flipped"
        )
        if given.auc is not None and given.auc_drop is not None:
            text += (
                f", AUC {given.auc:.4f} after {given.auc_before:.4f} "
                f"(drop {given.auc_drop:.4f}, 95 % interval {given.auc_drop_low:.4f} to {given.auc_drop_high:.4f})"
            )
    return text


def _export_figures(exported: ExportedModel, target: str) -> dict[str, Any]:
    return {
        "schema": "tinydf.export/1",
        "path": str(exported.path),
        "target": target,
        "size_bytes": exported.size_bytes,
        "parity": asdict(exported.parity.golden),
        "proof": exported.parity.to_dict(),
        "spec": json.loads(exported.spec.to_json()),
    }
