"""What every exporter does alike: from a checkpoint to a graph, and from a trial to a proven file's metadata."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from importlib.metadata import version

from onnx import ModelProto

from tinydf.checkpoint import Checkpoint
from tinydf_calibration.dialects import DIALECTS
from tinydf_calibration.equalise import apply_channel_scales
from tinydf_calibration.layers import compare_layers, first_bad
from tinydf_calibration.quantize import quantize_model
from tinydf_calibration.sampler import LabelledCrops
from tinydf_calibration.table import CalibrationTable
from tinydf_export.graph.float_graph import OPSET, build_float_graph
from tinydf_export.graph.overflow import scan_half
from tinydf_export.inputs.shipped import check_table
from tinydf_export.proof import parity
from tinydf_export.proof.golden import draw_golden_crops, encode_crops
from tinydf_export.proof.parity import Scorer
from tinydf_export.proof.prove import MAX_AUC_DROP, Proof, Reference, prove
from tinydf_runtime import __version__
from tinydf_runtime.errors import UsageError
from tinydf_runtime.models.spec import ModelSpec, Precision

LAYER_CROPS = 2
"""Golden crops that layers are compared on: a layer that is wrong is so on each."""
TOOLS = ("onnx", "onnxscript", "torch")


@dataclass(frozen=True, slots=True)
class ExportJob:
    """A checkpoint on its way to a file.

    Attributes:
        checkpoint: The network.
        graph: The prepared float graph; for INT8 with the table's channel scales applied.
        spec: What the file says about itself, without the proof: enough to open a trial.
        golden_text: The golden crops, as metadata has them under ``GOLDEN_KEY``.
        reference: What the network says about golden and given crops.
        table: For INT8.
        max_auc_drop: Largest loss of AUC on the given crops.
    """

    checkpoint: Checkpoint
    graph: ModelProto
    spec: ModelSpec
    golden_text: str
    reference: Reference
    table: CalibrationTable | None
    max_auc_drop: float


def start_export(
    checkpoint: Checkpoint,
    *,
    precision: Precision,
    table: CalibrationTable | None = None,
    crops: LabelledCrops | None = None,
    max_auc_drop: float = MAX_AUC_DROP,
    tools: tuple[str, ...] = (),
) -> ExportJob:
    """Gathers what an exporter starts from: the graph, what the network says, what the file will say about itself.

    Args:
        checkpoint: The network.
        precision: Number format to compute in.
        table: Calibration table, which INT8 needs; of 8-bit weights it equalises the channels.
        crops: To measure the exported model on, beside the golden crops.
        max_auc_drop: Largest loss of AUC on these.
        tools: Distributions beside onnx, onnxscript and torch whose versions shape the file.

    Raises:
        UsageError: INT8 without a table.
        StaleTableError: The table was made for another checkpoint, graph or crop recipe.
    """
    if precision == "int8" and table is None:
        raise UsageError(
            "int8: needs ranges. Name a table with --calibration, or faces to calibrate on with --data; "
            "tinydf-calibrate makes tables."
        )
    graph = build_float_graph(checkpoint)
    if precision not in ("int8", "w8"):
        table = None
    if table is not None:
        check_table(table, checkpoint, graph)
        graph = apply_channel_scales(graph, table.channel_scales)
    golden = draw_golden_crops(checkpoint.spec.crop)
    golden_text, golden_sha256 = encode_crops(golden)
    golden_scores = parity.score_eagerly(checkpoint, golden)
    reference = Reference(
        golden, golden_scores, crops, None if crops is None else parity.score_eagerly(checkpoint, crops.crops)
    )
    spec = replace(
        checkpoint.spec,
        precision=precision,
        calibration_sha256=None if table is None else table.sha256(),
        versions={"tinydf": __version__, **{name: version(name) for name in (*TOOLS, *tools)}, "opset": str(OPSET)},
        golden_sha256=golden_sha256,
        golden_probability=tuple(float(value) for value in golden_scores.fake_probability),
        proof={},
    )
    return ExportJob(checkpoint, graph, spec, golden_text, reference, table, max_auc_drop)


def quantize_for(job: ExportJob, dialect: str) -> ModelProto:
    """Returns the job's graph with quantize/dequantize pairs as a family of engines wants them.

    Args:
        job: Of precision int8.
        dialect: Key of ``DIALECTS``.
    """
    assert job.table is not None
    return quantize_model(job.graph, job.table, DIALECTS[dialect])


def finish_export(job: ExportJob, trial: Scorer) -> tuple[ModelSpec, Proof]:
    """Proves a trial of the exported model.

    Args:
        job: What it was made from.
        trial: The model as the engine computes it, or as an interpreter does where the engine is not there.

    Returns:
        What the file says about itself, now with the proof, and the proof.

    Raises:
        QualityError: A bound was missed; the caller must not leave a file.
    """
    half = scan_half(job.graph, job.reference.golden) if job.spec.precision == "fp16" else None
    proof = prove(
        trial,
        job.reference,
        precision=job.spec.precision,
        threshold=job.spec.threshold,
        max_auc_drop=job.max_auc_drop,
    )
    figures = proof.to_dict() | ({} if half is None else {"half": asdict(half)})
    return replace(job.spec, proof=figures), proof


def name_first_bad_layer(job: ExportJob, model: ModelProto) -> str:
    """Returns a sentence that names the layer where a refused export parts from the float graph.

    Args:
        job: What it was made from.
        model: The export as an ONNX graph.
    """
    bad = first_bad(compare_layers(job.graph, model, job.reference.golden[:LAYER_CROPS]))
    if bad is None:
        return "No single layer is far off: small errors add up."
    return f"The first bad layer is {bad.node} ({bad.operator}), with {bad.snr_db:.1f} dB of signal over noise."
