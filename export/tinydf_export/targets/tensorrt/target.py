"""TensorRT plan for the GPU of this machine; without a GPU, the checked ONNX file to build it from on the device."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from onnx import ModelProto

from tinydf_export.graph.typed import type_strongly
from tinydf_export.job import ExportJob
from tinydf_export.quantise import insert_pairs
from tinydf_export.targets.onnx import OnnxDraft
from tinydf_export.targets.protocol import Trial
from tinydf_export.targets.tensorrt.build import OnnxSource, build_verified_plan
from tinydf_export.targets.tensorrt.options import PlanOptions
from tinydf_runtime.errors import MissingExtraError, UnavailableError
from tinydf_runtime.io.files import write_atomically
from tinydf_runtime.models.plan import source_path
from tinydf_runtime.models.spec import ModelSpec


def quantise(job: ExportJob) -> ModelProto:
    """Returns a strongly typed graph; in float32 there is one type only, and nothing to write down."""
    graph = insert_pairs(job, "tensorrt") if job.spec.precision == "int8" else job.graph
    return graph if job.spec.precision == "fp32" else type_strongly(graph)


def write(graph: ModelProto, job: ExportJob) -> PlanDraft:
    """Returns the graph as the ONNX file that TensorRT reads."""
    return PlanDraft(
        OnnxDraft(graph, job.golden_text, as_written=job.spec.precision != "fp32"), job.request.plan or PlanOptions()
    )


@dataclass(frozen=True, slots=True)
class PlanDraft:
    """What a plan is built from; see ``Draft``."""

    source: OnnxDraft
    options: PlanOptions

    def open(self, spec: ModelSpec, folder: Path) -> Trial:
        """Opens the graph in ONNX Runtime on the CPU; ``publish`` checks the plan itself, on the GPU."""
        return self.source.open(spec, folder)

    def publish(self, spec: ModelSpec, out: Path) -> int:
        """Builds the plan, with a JSON file and the graph (``.plan.onnx``) beside it, and returns its size in bytes.

        Raises:
            UnavailableError: TensorRT or a GPU is missing. The checked ONNX file was left beside ``out``, and the
                message holds the command that makes the plan of it on the device.
            QualityError: The plan scores golden crops otherwise than its precision explains.
        """
        content = self.source.pack(spec)
        ready = out.with_suffix(".onnx")
        try:
            source = OnnxSource(ready.name, content, spec, self.source.golden_text)
            size_bytes = build_verified_plan(source, out, self.options).size_bytes
        except (MissingExtraError, UnavailableError) as error:
            write_atomically(ready, content)
            raise UnavailableError(
                f"{out.name}: no plan was built, since it must be built on the device that runs it ({error}) "
                f"{ready} is ready. On the device: tinydf-build-plan {ready.name} --out {out.name}"
            ) from error
        # Kept to rebuild the plan for another version of TensorRT or another GPU.
        write_atomically(source_path(out), content)
        return size_bytes
