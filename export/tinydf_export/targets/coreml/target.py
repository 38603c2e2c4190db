"""Checkpoint -> Core ML package: float16, float32, 8-bit weights, or 8-bit weights and activations."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from onnx import ModelProto

from tinydf.checkpoint import Checkpoint
from tinydf_calibration.quantize import quantizable_layers
from tinydf_calibration.sampler import LabelledCrops
from tinydf_calibration.table import CalibrationTable
from tinydf_export.graph.weight_only import compress_weights
from tinydf_export.proof.prove import MAX_AUC_DROP
from tinydf_export.runner import ExportJob, finish_export, quantize_for, start_export
from tinydf_export.targets.coreml.mil_interpreter import open_interpreter
from tinydf_export.targets.coreml.mlpackage import Package, convert_program, describe, write_package
from tinydf_export.targets.coreml.onnx_to_mil import build_program
from tinydf_export.targets.table import ExportedModel
from tinydf_runtime.engines.coreml_package import coremltools
from tinydf_runtime.engines.engine import Engine, load_engine
from tinydf_runtime.errors import UnavailableError
from tinydf_runtime.models.seal import BLANK_SEAL, SEAL_KEY
from tinydf_runtime.models.spec import GOLDEN_KEY, METADATA_KEY, ModelSpec, Precision


def export(
    checkpoint: Checkpoint,
    out: Path,
    *,
    precision: Precision = "fp16",
    table: CalibrationTable | None = None,
    crops: LabelledCrops | None = None,
    max_auc_drop: float = MAX_AUC_DROP,
) -> ExportedModel:
    """Exports a network, and leaves a package only if it gives what the network gives.

    On macOS, Core ML itself proves it; elsewhere an interpreter of its program does. The same checkpoint, table and
    versions give the same bytes.

    Args:
        checkpoint: The network.
        out: Folder to write.
        precision: "fp16" and "fp32" for iOS 16 and macOS 13 or newer; "w8", the same with 8-bit weights; "int8", with
            8-bit activations too, for iOS 17 and macOS 14 or newer. Chips before the A17 and M4 gain nothing by these.
        table: Calibration table, which "int8" needs.
        crops: To measure the exported model on, beside the golden crops.
        max_auc_drop: Largest loss of AUC on these.

    Raises:
        UsageError: "int8" without a table.
        StaleTableError: The table was made for another checkpoint, graph or crop recipe.
        QualityError: The exported model differs from the checkpoint; nothing is written.
        OutputError: The package cannot be written.
    """
    job = start_export(
        checkpoint, precision=precision, table=table, crops=crops, max_auc_drop=max_auc_drop, tools=("coremltools",)
    )
    target = coremltools.target.iOS17 if precision == "int8" else coremltools.target.iOS16
    program = build_program(_write_graph(job), "fp32" if precision == "fp32" else "fp16", target)
    package = convert_program(program, job.spec.crop.side_px, target)
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder) / "trial.mlpackage"
        write_package(_with_spec(package, job.spec, job.golden_text), trial)
        engine = _open_trial(trial)
        spec, proof = finish_export(job, engine)
    spec = replace(spec, proof={**spec.proof, "engine": engine.name})
    size_bytes = write_package(_with_spec(package, spec, job.golden_text), out)
    return ExportedModel(out, spec, proof, size_bytes)


def _write_graph(job: ExportJob) -> ModelProto:
    """Returns the graph with 8-bit weights and activations as far as the precision asks for them."""
    if job.spec.precision not in ("w8", "int8"):
        return job.graph
    layers = quantizable_layers(job.graph)
    kept_float = set() if job.table is None else set(job.table.float_layers)
    # Layers that gain nothing by 8-bit activations, such as those on single values, are smaller all the same.
    layers = tuple(name for name in layers if name not in kept_float)
    if job.spec.precision == "w8":
        return compress_weights(job.graph, layers)
    return compress_weights(quantize_for(job, "coreml"), layers)


def _with_spec(package: Package, spec: ModelSpec, golden_text: str) -> Package:
    return describe(package, {METADATA_KEY: spec.to_json(), GOLDEN_KEY: golden_text, SEAL_KEY: BLANK_SEAL})


def _open_trial(path: Path) -> Engine:
    """Returns Core ML where it is and runs this model, else the interpreter."""
    if sys.platform == "darwin":
        try:
            return load_engine(path)
        except UnavailableError:
            pass
    return open_interpreter(path)
