"""OpenVINO IR, a pair of files: float32, weights in float16, or INT8."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from xml.etree import ElementTree

import onnx

from tinydf_export.job import ExportJob
from tinydf_export.targets.openvino.convert import convert, write_xml
from tinydf_export.targets.openvino.int8 import quantise_layers
from tinydf_export.targets.openvino.layout import convolve_pictures
from tinydf_export.targets.protocol import Trial
from tinydf_runtime.engines.loading import load_engine
from tinydf_runtime.engines.openvino_engine import WEIGHTS_KEY
from tinydf_runtime.io.files import write_atomically
from tinydf_runtime.models.seal import BLANK_SEAL, SEAL_KEY, seal
from tinydf_runtime.models.spec import GOLDEN_KEY, METADATA_KEY, ModelSpec


def quantise(job: ExportJob) -> onnx.ModelProto:
    """Returns the graph in 8 bit where INT8 is asked for; float16 is a matter of storage, see ``write``."""
    return quantise_layers(job) if job.spec.precision == "int8" else job.graph


def write(graph: onnx.ModelProto, job: ExportJob) -> Pair:
    """Returns the graph in OpenVINO's format; float16 weights are computed with in float32."""
    graph_file, weights = convert(convolve_pictures(graph), half=job.spec.precision == "fp16")
    return Pair(graph_file, weights, job.golden_text)


@dataclass(frozen=True, slots=True)
class Pair:
    """A converted model; see ``Draft``.

    Attributes:
        graph: Content of the ``.xml`` file, without TinyDF's metadata.
        weights: Content of the ``.bin`` file.
        golden_text: The golden crops.
    """

    graph: bytes
    weights: bytes
    golden_text: str

    def open(self, spec: ModelSpec, folder: Path) -> Trial:
        """Opens the pair in OpenVINO on the CPU."""
        trial = folder / "trial.xml"
        write_pair(self.describe(spec), self.weights, trial)
        return load_engine(trial, sandbox=False)

    def publish(self, spec: ModelSpec, out: Path) -> int:
        """Writes both files and returns their size in bytes; ``out`` is the ``.xml`` file."""
        graph = self.describe(spec)
        write_pair(graph, self.weights, out)
        return len(graph) + len(self.weights)

    def describe(self, spec: ModelSpec) -> bytes:
        """Returns the ``.xml`` file with spec, golden crops, hash of the weights and seal in ``rt_info``."""
        root = ElementTree.fromstring(self.graph)
        info = root.find("rt_info")
        assert info is not None
        metadata = {
            METADATA_KEY: spec.to_json(),
            GOLDEN_KEY: self.golden_text,
            WEIGHTS_KEY: hashlib.sha256(self.weights).hexdigest(),
            SEAL_KEY: BLANK_SEAL,
        }
        for key, text in metadata.items():
            ElementTree.SubElement(info, key, value=text)
        return seal(write_xml(root), self.weights)


def write_pair(graph: bytes, weights: bytes, path: Path) -> None:
    """Writes both files of a model, each whole; the old pair stays where the system refuses one of them.

    Raises:
        OutputError: The system refused, for example because the disk is full.
    """

    def write(file: BinaryIO) -> None:
        file.write(graph)
        file.flush()
        # By the time the weights get their name, nothing is left that could fail on a full disk.
        os.fsync(file.fileno())
        write_atomically(path.with_suffix(".bin"), weights)

    write_atomically(path, write)
