"""``tinydf-export``: checkpoint -> model file. ``tinydf-verify``: does a model file still give what it should?"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from tinydf_export.proof.verify import DetectorVerification, Verification, is_detector, verify_detector, verify_model
from tinydf_export.targets.table import TARGETS, ExportedModel, check_target, export_model, find_target
from tinydf_export.targets.tensorrt.from_onnx import BuiltPlan, build_from_onnx
from tinydf_export.targets.tensorrt.options import PlanOptions
from tinydf_runtime import __version__
from tinydf_runtime.cli.command import STANDARD_OUTPUT, OneLineCommand, device_option, json_option, write_figures
from tinydf_runtime.cli.progress import Progress
from tinydf_runtime.errors import ExitCode, QualityError, UsageError, needs
from tinydf_runtime.models.spec import Precision

_FILE = click.Path(path_type=Path)


@click.command(
    "tinydf-export",
    cls=OneLineCommand,
    epilog="Example: tinydf-export runs/mine/tinydf.safetensors --target onnx --out mine.onnx",
)
@click.version_option(__version__)
@click.argument("checkpoint", required=False, type=_FILE)
@click.option("--target", required=True, help=f"What to make: {', '.join(TARGETS)}.")
@click.option("--int8", is_flag=True, help="Compute in 8 bit; for coreml, store weights so. See --calibration.")
@click.option(
    "--int8-activations",
    is_flag=True,
    help="Compute in 8 bit where --int8 alone stores the weights so: coreml.",
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
    help="Largest loss of AUC on --data; a worse export is no file, and exits 3.",
)
@click.option(
    "--from-onnx",
    "source",
    type=_FILE,
    help="TensorRT: build the plan of this file, on the device, without PyTorch, in place of exporting CHECKPOINT.",
)
@click.option("--max-batch", type=click.IntRange(1), help="TensorRT: faces computed at once at most.  [default: 16]")
@click.option("--timing-cache", type=_FILE, help="TensorRT: file that makes later builds quick and alike.")
@click.option("--dla-core", type=click.IntRange(0), help="TensorRT: deep learning accelerator to build for.")
@click.option("--version-compatible", is_flag=True, help="TensorRT: let later versions load the plan too.")
@click.option("--out", required=True, type=_FILE, help="File to write.")
@json_option
@click.option("--quiet", is_flag=True, help="Print only errors.")
def export_main(
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

    The file is left only if it gives what the checkpoint gives: on golden crops as near as its precision allows, and
    on the faces of --data with no more loss of AUC than --max-auc-drop.

    Exit status: 0 done, 2 wrong usage, 3 the file would not do what its checkpoint does (none is written), 4 library or
    device missing, 5 pictures of --data cannot be read (the file is written if enough can be), 6 checkpoint or table
    damaged, 7 output could not be written, 130 interrupted (nothing is written).
    """
    plan = PlanOptions(max_batch or 16, 1, dla_core, version_compatible, timing_cache)
    if target != "tensorrt" and (source is not None or plan != PlanOptions()):
        raise UsageError(f"target: found {target} with options of a TensorRT plan, expected tensorrt.")
    if source is not None:
        if checkpoint is not None or int8 or fp16 or calibration is not None or data is not None:
            raise UsageError("--from-onnx: the file holds network and precision. Leave checkpoint and these out.")
        with Progress(f"building {out.name}", quiet=quiet):
            built = build_from_onnx(source, out, plan)
        _show_plan(built, json_path, quiet)
        return ExitCode.DONE
    precision = _precision(target, int8, int8_activations, fp16, calibration)
    check_target(target, out, precision)
    with needs("export"):
        from tinydf.checkpoint import load_checkpoint, load_default
        from tinydf.data.skipped import Skipped
        from tinydf_export.inputs.gather import gather_inputs
    loaded = load_default() if checkpoint is None else load_checkpoint(checkpoint)
    skipped = Skipped()
    with Progress("reading", quiet=quiet) as progress:

        def report(stage: str, done: int, total: int) -> None:
            progress.advance(done, total, stage=stage)

        inputs = gather_inputs(loaded, precision, calibration, data, max_auc_drop, report=report, skip=skipped.note)
        progress.advance(0, stage=f"writing and checking {out.name}")
        exported = export_model(
            loaded,
            target,
            out,
            precision=precision,
            table=inputs.table,
            crops=inputs.crops,
            max_auc_drop=max_auc_drop,
            plan=plan if target == "tensorrt" else None,
        )
    write_figures(json.dumps(_export_figures(exported, target), indent=2) + "\n", json_path)
    if not quiet and json_path != STANDARD_OUTPUT:
        click.echo(_summary(exported))
    if (line := skipped.line()) is not None:
        click.echo(f"tinydf-export: {line}", err=True)
        return ExitCode.INPUT
    return ExitCode.DONE


@click.command("tinydf-verify", cls=OneLineCommand, epilog="Example: tinydf-verify mine.onnx")
@click.version_option(__version__)
@click.argument("model", type=_FILE)
@device_option
@click.option("--threads", type=int, help="Threads on the CPU; the engine's own choice where not given.")
@click.option("--layers", "reference", type=_FILE, help="Float32 .onnx export to compare MODEL with, layer by layer.")
@json_option
@click.option("--quiet", is_flag=True, help="Print only errors.")
def verify_main(
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
            from tinydf_export.proof.layers import compare_files, layer_table, list_layers
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
    golden, given = exported.proof.golden, exported.proof.given
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


def _show_plan(built: BuiltPlan, json_path: Path | None, quiet: bool) -> None:
    """Writes and prints what came of a build on the device."""
    figures = {
        "schema": "tinydf.export/1",
        "path": str(built.path),
        "target": "tensorrt",
        "size_bytes": built.size_bytes,
        "verification": asdict(built.verification),
        "spec": json.loads(built.spec.to_json()),
    }
    write_figures(json.dumps(figures, indent=2) + "\n", json_path)
    if not quiet and json_path != STANDARD_OUTPUT:
        found = built.verification
        click.echo(
            f"{built.path}: {built.spec.precision}, {built.size_bytes / 1e6:.1f} MB, probabilities within "
            f"{found.max_difference:.1g} of the checkpoint's on {len(found.found)} golden crops, on this device"
        )


def _show_detector(result: DetectorVerification, json_path: Path | None, quiet: bool) -> None:
    """Writes and prints that a face detector is whole."""
    figures = {"schema": "tinydf.verify/1", "passed": True, **asdict(result)}
    write_figures(json.dumps(figures, indent=2) + "\n", json_path)
    if not quiet and json_path != STANDARD_OUTPUT:
        click.echo(f"{result.model}: face detector {result.name}, as it was exported; SHA-256 {result.sha256}")


def _export_figures(exported: ExportedModel, target: str) -> dict[str, Any]:
    return {
        "schema": "tinydf.export/1",
        "path": str(exported.path),
        "target": target,
        "size_bytes": exported.size_bytes,
        "parity": asdict(exported.proof.golden),
        "proof": exported.proof.to_dict(),
        "spec": json.loads(exported.spec.to_json()),
    }


def _verify_table(result: Verification) -> Table:
    title = f"{result.model} · {result.precision} · {result.engine} on {result.device}"
    table = Table(title=title, caption=f"largest difference {result.max_difference:.2g}, allowed {result.tolerance:g}")
    for heading in ("golden crop", "expected", "found", "difference"):
        table.add_column(heading, justify="right")
    for index, (expected, found) in enumerate(zip(result.expected, result.found, strict=True), start=1):
        table.add_row(str(index), f"{expected:.6f}", f"{found:.6f}", f"{abs(found - expected):.2g}")
    return table
