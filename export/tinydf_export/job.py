"""Request + float graph -> export job: the graph, the network's own scores and the file's metadata."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.metadata import version

from onnx import ModelProto

from tinydf_calibration.equalise import apply_channel_scales
from tinydf_calibration.table import CalibrationTable
from tinydf_export.inputs.gather import check_table
from tinydf_export.parity import report
from tinydf_export.parity.golden import draw_golden_crops, encode_crops
from tinydf_export.request import ExportRequest
from tinydf_runtime import __version__
from tinydf_runtime.models.spec import ModelSpec

TOOLS = ("onnx", "onnxscript", "torch")
"""Distributions whose versions shape every export."""


@dataclass(frozen=True, slots=True)
class ExportJob:
    """What every target starts from.

    Attributes:
        request: What was asked.
        graph: Float graph; for 8-bit weights with the table's channel scales applied.
        spec: Metadata without the parity report: enough to open a trial.
        golden_text: The golden crops, as stored under ``GOLDEN_KEY``.
        reference: Scores of the PyTorch network on golden and given crops.
        table: The request's, None where the precision uses none.
    """

    request: ExportRequest
    graph: ModelProto
    spec: ModelSpec
    golden_text: str
    reference: report.Reference
    table: CalibrationTable | None


def start_job(request: ExportRequest, graph: ModelProto, tools: tuple[str, ...] = ()) -> ExportJob:
    """Returns the job: channels equalised, golden crops drawn and scored in PyTorch.

    Args:
        request: What was asked.
        graph: Float graph of its checkpoint.
        tools: Distributions beside ``TOOLS`` whose versions shape the file.

    Raises:
        StaleTableError: The table was made for another checkpoint, graph or crop config.
    """
    checkpoint, crops = request.checkpoint, request.crops
    table = request.table if request.precision in ("int8", "w8") else None
    if table is not None:
        check_table(table, checkpoint, graph)
        graph = apply_channel_scales(graph, table.channel_scales)
    golden = draw_golden_crops(checkpoint.spec.crop)
    golden_text, golden_sha256 = encode_crops(golden)
    golden_scores = report.score_eagerly(checkpoint, golden)
    given_scores = None if crops is None else report.score_eagerly(checkpoint, crops.crops)
    spec = replace(
        checkpoint.spec,
        precision=request.precision,
        calibration_sha256=None if table is None else table.sha256(),
        versions={"tinydf": __version__, **{name: version(name) for name in (*TOOLS, *tools)}},
        golden_sha256=golden_sha256,
        golden_probability=tuple(float(value) for value in golden_scores.fake_probability),
        proof={},
    )
    return ExportJob(
        request, graph, spec, golden_text, report.Reference(golden, golden_scores, crops, given_scores), table
    )
