"""Exports the shipped network to every target from one calibration table, measures each file, and writes the page.

python scripts/measure_exports.py --data faces --baseline published.onnx --out docs/exports.md

Agreement is measured on crops that the table has never seen; times are taken in turns, one crop at a time on one
thread. ``--baseline`` is any other float32 ONNX network of 224 x 224 crops, timed in the same turns.
"""

from __future__ import annotations

import platform
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, get_args

import click
import numpy as np

from tinydf.checkpoint import load_default
from tinydf.data.manifest import Split
from tinydf_calibration.sampler import LabelledCrops
from tinydf_calibration.table import read_table
from tinydf_export.inputs.gather import SHIPPED_TABLE
from tinydf_export.inputs.labelled_crops import read_labelled_crops
from tinydf_export.request import ExportRequest
from tinydf_export.runner import run
from tinydf_export.targets.table import TARGETS
from tinydf_runtime.engines.loading import open_engine
from tinydf_runtime.engines.quiet_onnxruntime import onnxruntime
from tinydf_runtime.errors import UnavailableError
from tinydf_runtime.io.files import write_atomically
from tinydf_runtime.models.spec import ModelSpec, Precision

EXPORTS: tuple[tuple[str, Precision], ...] = (
    ("onnx", "fp32"),
    ("onnx", "fp16"),
    ("onnx", "int8"),
    ("openvino", "fp32"),
    ("openvino", "fp16"),
    ("openvino", "int8"),
    ("coreml", "fp16"),
    ("coreml", "w8"),
    ("coreml", "int8"),
    ("tensorrt", "fp16"),
    ("tensorrt", "int8"),
)
NAMES = {"w8": "8-bit weights", "int8": "INT8"}
TIMED = ("onnx", "openvino")
SEED = 21
CALLS = 4


@dataclass(frozen=True, slots=True)
class Export:
    """One file: its target and precision, its size, and the agreement that its metadata tells."""

    target: str
    precision: str
    size_bytes: int
    given: dict[str, Any]
    call: Callable[[], object] | None


@click.command()
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder of faces to compare on.")
@click.option("--split", type=click.Choice(get_args(Split)), default="test", show_default=True)
@click.option("--crops", "count", default=600, show_default=True, help="Crops to compare on.")
@click.option(
    "--baseline", type=click.Path(path_type=Path), help="Another network's float32 ONNX file, to be timed too."
)
@click.option("--turns", default=60, show_default=True, help="Turns of each file.")
@click.option("--out", type=click.Path(path_type=Path), help="Markdown page to write.")
def main(data: Path, split: Split, count: int, baseline: Path | None, turns: int, out: Path | None) -> None:
    """Prints and writes size, speed and agreement of every export."""
    checkpoint = load_default()
    crops = read_labelled_crops(data, split, checkpoint.spec.crop, count, SEED)
    with tempfile.TemporaryDirectory() as folder:
        exports = [_export(target, precision, crops, Path(folder)) for target, precision in EXPORTS]
        calls = {f"{one.target} {one.precision}": one.call for one in exports if one.call is not None}
        if baseline is not None:
            calls["baseline"] = _baseline_call(baseline)
        times = time_in_turns(calls, turns)
    page = _describe(exports, times, len(crops), split)
    click.echo(page)
    if out is not None:
        write_atomically(out, page.encode())


def _export(target: str, precision: Precision, crops: LabelledCrops, folder: Path) -> Export:
    ending = TARGETS[target].ending
    path = folder / f"{target}-{precision}{ending}"
    table = read_table(SHIPPED_TABLE) if precision in ("int8", "w8") else None
    # A bound of 1 lets every file through: this page is to tell what the bound would hide.
    try:
        exported = run(ExportRequest(load_default(), target, path, precision, table, crops, max_auc_drop=1.0))
    except UnavailableError:
        # Without a device the plan's ONNX file is what is left, checked as far as it can be here.
        path = path.with_suffix(".onnx")
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        spec = ModelSpec.from_json(session.get_modelmeta().custom_metadata_map["tinydf"], path.name)
        return Export(target, precision, path.stat().st_size, spec.proof["given"], None)
    given = exported.parity.to_dict()["given"]
    call = None
    if target in TIMED:
        engine = open_engine(path, threads=1)
        crop = crops.crops[:1]
        call = lambda: engine.score(crop)  # noqa: E731 - one expression over two names
    return Export(target, precision, exported.size_bytes, given, call)


def _baseline_call(path: Path) -> Callable[[], object]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (image,) = session.get_inputs()
    crop = np.random.default_rng(0).random((1, 3, 224, 224), np.float32)
    return lambda: session.run(None, {image.name: crop})


def time_in_turns(calls: dict[str, Callable[[], object]], turns: int) -> dict[str, list[float]]:
    """Returns milliseconds of single calls; the first of each turn brings the caches back and is not counted."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(turns):
        for name, call in calls.items():
            call()
            for _ in range(CALLS):
                started = time.perf_counter()
                call()
                times[name].append((time.perf_counter() - started) * 1e3)
    return times


def _describe(exports: list[Export], times: dict[str, list[float]], crops: int, split: str) -> str:
    base = median(times["baseline"]) if "baseline" in times else None
    lines = [
        "# Exports",
        "",
        "Every file was made from the shipped checkpoint and its calibration table by",
        "`scripts/measure_exports.py`, which wrote this page. It is compared with the checkpoint in PyTorch on",
        f"{crops} crops of split {split}, half real, half synthetic forgeries, which calibration never saw:",
        "difference in fake probability, verdicts that change sides, loss of AUC with its 95 % bootstrap",
        "interval. Core ML files ran on our interpreter of their program, TensorRT's typed graphs on ONNX",
        "Runtime; no plan was built. Times are medians (minima) of single crops on one thread, in turns, on",
        f"{cpu_name()}, ONNX Runtime {version('onnxruntime')}, OpenVINO {version('openvino')}.",
        "",
        "| target | precision | MB | mean difference | largest | flipped | AUC lost | ms | faster than baseline |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for one in exports:
        calls = times.get(f"{one.target} {one.precision}")
        speed = "" if calls is None else f"{median(calls):.1f} ({min(calls):.1f})"
        ratio = "" if calls is None or base is None else f"{base / median(calls):.2f} x"
        lines.append(
            f"| {one.target} | {NAMES.get(one.precision, one.precision)} | {one.size_bytes / 1e6:.1f} "
            f"| {one.given['mean_difference']:.4f} | {one.given['max_difference']:.3f} | {one.given['flipped']:.1%} "
            f"| {one.given['auc_drop']:.4f} ({one.given['auc_drop_low']:.4f} to {one.given['auc_drop_high']:.4f}) "
            f"| {speed} | {ratio} |"
        )
    if base is not None:
        lines += [
            "",
            "The baseline is the network as it was published, with a pooled KAN head, float32 in ONNX Runtime: "
            f"{base:.1f} ms ({min(times['baseline']):.1f}).",
        ]
    return "\n".join(lines) + "\n"


def cpu_name() -> str:
    """Returns the processor's name, as the system tells it."""
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    return names[0].split(":", 1)[1].strip() if names else platform.processor()


if __name__ == "__main__":
    main()
