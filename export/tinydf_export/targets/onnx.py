"""Checkpoint -> ONNX file that needs nothing beside it: float32, float16 or INT8 for ONNX Runtime."""

from __future__ import annotations

import tempfile
from pathlib import Path

import onnx

from tinydf.checkpoint import Checkpoint
from tinydf_calibration.sampler import LabelledCrops
from tinydf_calibration.table import CalibrationTable
from tinydf_export.graph.float_graph import build_float_graph, build_model, compact_graph
from tinydf_export.graph.typed import type_strongly
from tinydf_export.proof.prove import MAX_AUC_DROP
from tinydf_export.runner import ExportJob, finish_export, name_first_bad_layer, quantize_for, start_export
from tinydf_export.targets.table import ExportedModel
from tinydf_runtime.engines.engine import load_engine
from tinydf_runtime.errors import QualityError
from tinydf_runtime.io.files import write_atomically
from tinydf_runtime.models.seal import BLANK_SEAL, SEAL_KEY, seal
from tinydf_runtime.models.spec import GOLDEN_KEY, METADATA_KEY, ModelSpec, Precision

__all__ = ["build_float_graph", "build_model", "export"]


def export(
    checkpoint: Checkpoint,
    out: Path,
    *,
    precision: Precision = "fp32",
    table: CalibrationTable | None = None,
    crops: LabelledCrops | None = None,
    max_auc_drop: float = MAX_AUC_DROP,
) -> ExportedModel:
    """Exports a network, and leaves a file only if that file gives what the network gives.

    The same checkpoint, table and versions give the same graph, bit for bit, on every processor. The metadata holds
    what was measured, and so differs between processors: golden probabilities in their last bits, by less than 1e-5.

    Args:
        checkpoint: The network.
        out: File to write.
        precision: Number format to compute in.
        table: Calibration table, which INT8 needs.
        crops: To measure the exported model on, beside the golden crops.
        max_auc_drop: Largest loss of AUC on these.

    Raises:
        UsageError: INT8 without a table.
        StaleTableError: The table was made for another checkpoint, graph or crop recipe.
        QualityError: The exported model differs from the checkpoint; nothing is written.
        OutputError: The file cannot be written.
    """
    job = start_export(checkpoint, precision=precision, table=table, crops=crops, max_auc_drop=max_auc_drop)
    model = _write_graph(job)
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder) / "trial.onnx"
        trial.write_bytes(pack(model, job.spec, job.golden_text))
        try:
            spec, proof = finish_export(job, load_engine(trial))
        except QualityError as error:
            raise QualityError(f"{error} {name_first_bad_layer(job, model)}") from error
    content = pack(model, spec, job.golden_text)
    write_atomically(out, content)
    return ExportedModel(out, spec, proof, len(content))


def pack(model: onnx.ModelProto, spec: ModelSpec, golden_text: str) -> bytes:
    """Returns a model's file content: graph, spec, golden crops and seal."""
    packed = onnx.ModelProto()
    packed.CopyFrom(model)
    onnx.helper.set_model_props(packed, {METADATA_KEY: spec.to_json(), GOLDEN_KEY: golden_text, SEAL_KEY: BLANK_SEAL})
    onnx.checker.check_model(packed, full_check=True)
    return seal(packed.SerializeToString(deterministic=True))


def _write_graph(job: ExportJob) -> onnx.ModelProto:
    """Returns the graph in its precision, and no larger than it must be."""
    if job.spec.precision == "fp16":
        return type_strongly(job.graph)
    model = quantize_for(job, "onnxruntime") if job.spec.precision == "int8" else job.graph
    compacted = compact_graph(model, job.checkpoint)
    # Shapes of inner tensors follow from the rest.
    del compacted.graph.value_info[:]
    return compacted
