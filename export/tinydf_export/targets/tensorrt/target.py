"""Checkpoint -> TensorRT plan; where there is no GPU, the ONNX file that only has to be built on the device."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinydf.checkpoint import Checkpoint
from tinydf_calibration.sampler import LabelledCrops
from tinydf_calibration.table import CalibrationTable
from tinydf_export.graph.typed import type_strongly
from tinydf_export.runner import finish_export, quantize_for, start_export
from tinydf_export.targets.onnx import pack
from tinydf_export.targets.table import ExportedModel
from tinydf_export.targets.tensorrt.from_onnx import build_from_onnx
from tinydf_export.targets.tensorrt.options import PlanOptions
from tinydf_runtime.engines.quiet_onnxruntime import onnxruntime
from tinydf_runtime.errors import MissingExtraError, UnavailableError
from tinydf_runtime.io.files import write_atomically
from tinydf_runtime.models.spec import Precision
from tinydf_runtime.types import Scores


def export(
    checkpoint: Checkpoint,
    out: Path,
    *,
    precision: Precision,
    table: CalibrationTable | None,
    crops: LabelledCrops | None,
    max_auc_drop: float,
    plan: PlanOptions | None = None,
) -> ExportedModel:
    """Exports a network as a plan for the GPU of this machine.

    The graph names each tensor's type and is proven on ONNX Runtime; the plan is then proven on the GPU with the golden
    crops. The graph is the same for the same checkpoint, table and versions, on every processor. Its metadata holds
    what was measured, and a plan's kernels are chosen by the clock.

    Args:
        checkpoint: The network.
        out: Plan to write; a JSON file goes beside it.
        precision: Number format to compute in.
        table: Calibration table, which INT8 needs.
        crops: To measure the graph on, beside the golden crops.
        max_auc_drop: Largest loss of AUC on these.
        plan: What to build.

    Raises:
        UnavailableError: TensorRT or a GPU is missing. The proven ONNX file was left beside ``out``, and the message
            holds the command that makes the plan of it on the device.
        QualityError: Graph or plan differ from the checkpoint by more than their precision explains.
        OutputError: A file could not be written.
    """
    job = start_export(checkpoint, precision=precision, table=table, crops=crops, max_auc_drop=max_auc_drop)
    model = quantize_for(job, "tensorrt") if precision == "int8" else job.graph
    if precision != "fp32":
        model = type_strongly(model)
    spec, proof = finish_export(job, PlainScorer(open_plainly(model.SerializeToString())))
    spec = replace(spec, versions={**spec.versions, "opset": str(model.opset_import[0].version)})
    content = pack(model, spec, job.golden_text)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / f"{out.stem}.onnx"
        source.write_bytes(content)
        try:
            built = build_from_onnx(source, out, plan)
        except (MissingExtraError, UnavailableError) as error:
            ready = out.with_suffix(".onnx")
            write_atomically(ready, content)
            raise UnavailableError(
                f"{out.name}: no plan was built, since it must be built on the device that runs it ({error}) "
                f"{ready} is ready. On the device: tinydf-export --from-onnx {ready.name} --target tensorrt "
                f"--out {out.name}"
            ) from error
    return ExportedModel(out, spec, proof, built.size_bytes)


@dataclass(frozen=True, slots=True)
class PlainScorer:
    """A typed graph computed as it is written, node by node, on the CPU."""

    session: onnxruntime.InferenceSession

    def score(self, crops: NDArray[np.uint8]) -> Scores:
        """Returns what the graph says about N x side x side x 3 RGB uint8 crops, in the order given."""
        # One at a time: an unfused graph keeps every map in memory.
        found = [
            self.session.run(["fake_probability", "forgery_map"], {"image": crop[None].transpose(0, 3, 1, 2)})
            for crop in crops
        ]
        return Scores(np.concatenate([one[0] for one in found]), np.concatenate([one[1] for one in found]))


def open_plainly(model: bytes) -> onnxruntime.InferenceSession:
    """Opens a graph in ONNX Runtime without optimisations.

    ONNX Runtime's fuse float16 pairs into kernels that round otherwise: on our graphs they move probabilities by up to
    .04 where the graph itself, and TensorRT, do not.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
