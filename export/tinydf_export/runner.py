"""Export request -> model file, in five steps: graph, quantise, write, compare with the checkpoint, publish."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from typing import cast

from onnx import ModelProto

from tinydf_calibration.layers import compare_layers, first_bad
from tinydf_export.graph.float_graph import build_float_graph
from tinydf_export.graph.typed import scan_half
from tinydf_export.job import ExportJob, start_job
from tinydf_export.parity.report import ParityReport, check_parity
from tinydf_export.request import ExportedModel, ExportRequest
from tinydf_export.targets.protocol import Draft, TargetModule
from tinydf_export.targets.table import TARGETS, Target, check_target
from tinydf_runtime.errors import QualityError, UsageError, needs
from tinydf_runtime.models.spec import ModelSpec

LAYER_CROPS = 2
"""Golden crops that layers are compared on: a wrong layer is wrong on each."""


def run(request: ExportRequest) -> ExportedModel:
    """Exports a network, and leaves a file only if that file scores as the network does.

    The same checkpoint, table and versions give the same graph on every processor. The metadata holds measured values,
    which differ between processors in their last bits: golden probabilities by less than 1e-5. TensorRT chooses a
    plan's kernels by timing them, so that two plans differ.

    Args:
        request: What to export, and how good it must be.

    Raises:
        UsageError: No such target, ``out`` has another ending than its files, it has no such precision, INT8 lacks a
            table, or options of a plan are given for another target.
        MissingExtraError: A library of the target is not installed.
        StaleTableError: The table was made for another checkpoint, graph or crop config.
        QualityError: The exported model differs from its checkpoint; nothing is written.
        UnavailableError: The target's engine or device is missing. For "tensorrt" the checked ONNX file is left.
        OutputError: The file cannot be written.
    """
    row = _check(request)
    with needs(row.extra):
        target = cast("TargetModule", import_module(f"tinydf_export.targets.{row.module}"))
    job = start_job(request, build_float_graph(request.checkpoint), row.tools)
    graph = target.quantise(job)
    draft = target.write(graph, job)
    spec, parity = _check_parity(draft, graph, job)
    size_bytes = draft.publish(spec, request.out)
    return ExportedModel(request.out, spec, parity, size_bytes)


def _check(request: ExportRequest) -> Target:
    """Returns the target's row, before anything is computed.

    Raises:
        UsageError: Parts of the request contradict each other.
    """
    check_target(request.target, request.out, request.precision)
    if request.plan is not None and request.target != "tensorrt":
        raise UsageError(f"target: found {request.target} with options of a TensorRT plan, expected tensorrt.")
    if request.precision == "int8" and request.table is None:
        raise UsageError(
            "int8: needs ranges. Name a table with --calibration, or faces to calibrate on with --data; "
            "tinydf-calibrate makes tables."
        )
    return TARGETS[request.target]


def _check_parity(draft: Draft, graph: ModelProto, job: ExportJob) -> tuple[ModelSpec, ParityReport]:
    """Scores golden and given crops with a trial of the file.

    Returns:
        The file's metadata, now with the parity report, and the report.

    Raises:
        QualityError: A bound was missed.
    """
    opset = next(item.version for item in graph.opset_import if not item.domain)
    spec = replace(job.spec, versions={**job.spec.versions, "opset": str(opset)})
    half = scan_half(job.graph, job.reference.golden) if spec.precision == "fp16" else None
    with tempfile.TemporaryDirectory() as folder:
        trial = draft.open(spec, Path(folder))
        try:
            parity = check_parity(
                trial,
                job.reference,
                precision=spec.precision,
                threshold=spec.threshold,
                max_auc_drop=job.request.max_auc_drop,
            )
        except QualityError as error:
            # Other engines compute what they made of the graph, so that no layer of it can be blamed.
            if trial.name != "onnxruntime":
                raise
            raise QualityError(f"{error} {_name_first_bad_layer(graph, job)}") from error
    figures = {**parity.to_dict(), "engine": trial.name} | ({} if half is None else {"half": asdict(half)})
    return replace(spec, proof=figures), parity


def _name_first_bad_layer(graph: ModelProto, job: ExportJob) -> str:
    """Returns a sentence that names the layer where a refused graph departs from the float graph."""
    bad = first_bad(compare_layers(job.graph, graph, job.reference.golden[:LAYER_CROPS]))
    if bad is None:
        return "No single layer is far off: small errors add up."
    return f"The first bad layer is {bad.node} ({bad.operator}), with {bad.snr_db:.1f} dB of signal over noise."
