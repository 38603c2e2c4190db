"""Core ML package: float16, float32, 8-bit weights, or 8-bit weights and activations.

fp16 and fp32 run on iOS 16 and macOS 13 or newer, and so does w8, which is fp16 with 8-bit weights; int8, with 8-bit
activations too, needs iOS 17 or macOS 14. Chips before the A17 and M4 gain nothing from 8-bit activations.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from onnx import ModelProto

from tinydf_calibration.quantize import quantizable_layers
from tinydf_export.graph.weight_only import compress_weights
from tinydf_export.job import ExportJob
from tinydf_export.quantise import insert_pairs
from tinydf_export.targets.coreml.mil_interpreter import open_interpreter
from tinydf_export.targets.coreml.mlpackage import Package, convert_program, describe, write_package
from tinydf_export.targets.coreml.onnx_to_mil import build_program
from tinydf_export.targets.protocol import Trial
from tinydf_runtime.engines.coreml_package import coremltools
from tinydf_runtime.engines.loading import load_engine
from tinydf_runtime.errors import UnavailableError
from tinydf_runtime.models.seal import BLANK_SEAL, SEAL_KEY
from tinydf_runtime.models.spec import GOLDEN_KEY, METADATA_KEY, ModelSpec


def quantise(job: ExportJob) -> ModelProto:
    """Returns the graph with 8-bit weights and activations as far as the precision asks for them."""
    if job.spec.precision not in ("w8", "int8"):
        return job.graph
    layers = quantizable_layers(job.graph)
    kept_float = set() if job.table is None else set(job.table.float_layers)
    # Layers that gain nothing from 8-bit activations, such as those on single values, still become smaller.
    layers = tuple(name for name in layers if name not in kept_float)
    if job.spec.precision == "w8":
        return compress_weights(job.graph, layers, job.table)
    return compress_weights(insert_pairs(job, "coreml"), layers, job.table)


def write(graph: ModelProto, job: ExportJob) -> CoreMLDraft:
    """Returns the graph as a Core ML program; all but fp32 computes in float16 beside its 8 bit."""
    precision = job.spec.precision
    target = coremltools.target.iOS17 if precision == "int8" else coremltools.target.iOS16
    program = build_program(graph, "fp32" if precision == "fp32" else "fp16", target)
    return CoreMLDraft(convert_program(program, job.spec.crop.side_px, target), job.golden_text)


@dataclass(frozen=True, slots=True)
class CoreMLDraft:
    """A package and what goes into its metadata; see ``Draft``."""

    package: Package
    golden_text: str

    def open(self, spec: ModelSpec, folder: Path) -> Trial:
        """Opens the package in Core ML where it is and runs this model, else in an interpreter of its program."""
        trial = folder / "trial.mlpackage"
        self.publish(spec, trial)
        if sys.platform == "darwin":
            try:
                return load_engine(trial)
            except UnavailableError:
                pass
        return open_interpreter(trial)

    def publish(self, spec: ModelSpec, out: Path) -> int:
        """Writes the folder and returns the size of its files in bytes."""
        metadata = {METADATA_KEY: spec.to_json(), GOLDEN_KEY: self.golden_text, SEAL_KEY: BLANK_SEAL}
        return write_package(describe(self.package, metadata), out)
