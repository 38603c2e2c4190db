"""ONNX file that needs nothing beside it: float32, float16 or INT8 for ONNX Runtime."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx

from tinydf_export.graph.float_graph import compact_graph
from tinydf_export.graph.typed import type_strongly
from tinydf_export.job import ExportJob
from tinydf_export.quantise import insert_pairs
from tinydf_export.targets.protocol import Trial
from tinydf_runtime.engines.onnxruntime_engine import open_content
from tinydf_runtime.io.files import write_atomically
from tinydf_runtime.models.seal import BLANK_SEAL, SEAL_KEY, seal
from tinydf_runtime.models.spec import AS_WRITTEN_KEY, GOLDEN_KEY, METADATA_KEY, ModelSpec


def quantise(job: ExportJob) -> onnx.ModelProto:
    """Returns the graph in its precision; float16 with every type written down."""
    if job.spec.precision == "fp16":
        return type_strongly(job.graph)
    return insert_pairs(job, "onnxruntime") if job.spec.precision == "int8" else job.graph


def write(graph: onnx.ModelProto, job: ExportJob) -> OnnxDraft:
    """Returns the graph with its weights stored at half the size where no bit is lost."""
    if job.spec.precision == "fp16":
        return OnnxDraft(graph, job.golden_text)
    compacted = compact_graph(graph, job.request.checkpoint)
    # Shapes of inner tensors follow from the rest.
    del compacted.graph.value_info[:]
    return OnnxDraft(compacted, job.golden_text)


@dataclass(frozen=True, slots=True)
class OnnxDraft:
    """A graph and what goes into its metadata; see ``Draft``.

    Attributes:
        graph: In its precision.
        golden_text: The golden crops.
        as_written: Keeps ONNX Runtime from fusing nodes, to compute what TensorRT computes.
    """

    graph: onnx.ModelProto
    golden_text: str
    as_written: bool = False

    def open(self, spec: ModelSpec, folder: Path) -> Trial:
        """Opens the file's content in ONNX Runtime on the CPU."""
        return open_content(self.pack(spec), "trial.onnx")

    def publish(self, spec: ModelSpec, out: Path) -> int:
        """Writes the file and returns its size in bytes."""
        content = self.pack(spec)
        write_atomically(out, content)
        return len(content)

    def pack(self, spec: ModelSpec) -> bytes:
        """Returns the file's content: graph, metadata, golden crops and seal."""
        packed = onnx.ModelProto()
        packed.CopyFrom(self.graph)
        metadata = {METADATA_KEY: spec.to_json(), GOLDEN_KEY: self.golden_text, SEAL_KEY: BLANK_SEAL}
        onnx.helper.set_model_props(packed, metadata | ({AS_WRITTEN_KEY: "1"} if self.as_written else {}))
        onnx.checker.check_model(packed, full_check=True)
        return seal(packed.SerializeToString(deterministic=True))
