"""OpenVINO IR, a pair of files: float32, weights in float16, or INT8."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from xml.etree import ElementTree

import numpy as np
import onnx

from tinydf_export.graph.compact import MIN_SIZE
from tinydf_export.job import ExportJob
from tinydf_export.targets.openvino.int8 import quantise_layers
from tinydf_export.targets.openvino.layout import convolve_pictures
from tinydf_export.targets.protocol import Trial
from tinydf_runtime.engines.engine import load_engine
from tinydf_runtime.engines.openvino_engine import WEIGHTS_KEY
from tinydf_runtime.engines.quiet_openvino import openvino
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
        return load_engine(trial)

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
        return seal(_write_xml(root), self.weights)


def convert(model: onnx.ModelProto, *, half: bool) -> tuple[bytes, bytes]:
    """Returns an ONNX model as ``.xml`` and ``.bin`` content; equal models give equal bytes.

    Args:
        model: Float32, or with quantize/dequantize pairs.
        half: Stores weights in float16; they are computed with in float32.
    """
    # Not above, where it would be imported before the telemetry is off.
    from openvino._offline_transformations import apply_moc_transformations

    converted = openvino.Core().read_model(model.SerializeToString(deterministic=True))
    # What convert_model does too, but that sends statistics of use over the network.
    apply_moc_transformations(converted, cf=True)
    _share_numbers(converted)
    _name_nodes(converted, model)
    if half:
        _halve_weights(converted)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.xml"
        openvino.save_model(converted, path, compress_to_fp16=False)
        return _slim(path.read_bytes()), path.with_suffix(".bin").read_bytes()


def write_pair(graph: bytes, weights: bytes, path: Path) -> None:
    """Writes both files of a model, each whole; the old pair stays where the system refuses one of them.

    Raises:
        OutputError: The system refused, for example because the disk is full.
    """

    def write(file: BinaryIO) -> None:
        file.write(graph)
        file.flush()
        # All that can fail for want of space has been done once the weights get their name.
        os.fsync(file.fileno())
        write_atomically(path.with_suffix(".bin"), weights)

    write_atomically(path, write)


def _halve_weights(converted: openvino.Model) -> None:
    """Stores large constants as float16, but for what leads to a logarithm.

    A logarithm asks for the ratio of small values, which are differences of large ones.
    """
    waiting = [node for node in converted.get_ops() if node.get_type_name() == "Log"]
    whole = {node.get_friendly_name() for node in waiting}
    while waiting:
        for source in waiting.pop().input_values():
            node = source.get_node()
            if node.get_friendly_name() not in whole:
                whole.add(node.get_friendly_name())
                waiting.append(node)
    for node in converted.get_ordered_ops():
        name = node.get_friendly_name()
        if node.get_type_name() != "Constant" or name in whole or node.get_element_type() != openvino.Type.f32:
            continue
        values = node.get_data()
        if values.size >= MIN_SIZE:
            stored = openvino.opset13.constant(values.astype(np.float16), name=f"{name}.half")
            widened = openvino.opset13.convert(stored, "f32", name=name)
            for user in node.output(0).get_target_inputs():
                user.replace_source_output(widened.output(0))


def _share_numbers(converted: openvino.Model) -> None:
    """Makes one constant of all that hold the same single number: the ends of ranges are hundreds of them."""
    first: dict[tuple[str, bytes, int], openvino.Node] = {}
    for node in converted.get_ordered_ops():
        if node.get_type_name() != "Constant" or node.get_data().size != 1:
            continue
        key = node.get_element_type().get_type_name(), node.get_data().tobytes(), node.get_data().ndim
        kept = first.setdefault(key, node)
        if kept is not node:
            for user in node.output(0).get_target_inputs():
                user.replace_source_output(kept.output(0))


def _name_nodes(converted: openvino.Model, model: onnx.ModelProto) -> None:
    """Numbers the nodes that OpenVINO made up itself: it counts them over the life of the process."""
    known = {name for node in model.graph.node for name in (node.name, *node.output)}
    known |= {tensor.name for tensor in model.graph.initializer} | {value.name for value in model.graph.input}
    for position, node in enumerate(converted.get_ordered_ops()):
        if node.get_friendly_name() not in known:
            node.set_friendly_name(f"{node.get_type_name()}.{position}")


def _slim(graph: bytes) -> bytes:
    """Takes out of the ``.xml`` file what no reader needs: blanks, and the names of merged nodes, made up as well."""
    root = ElementTree.fromstring(graph)
    for layer in root.iter("layer"):
        info = layer.find("rt_info")
        if info is None:
            continue
        for attribute in [one for one in info if one.get("name") == "fused_names"]:
            info.remove(attribute)
        if not len(info):
            layer.remove(info)
    for element in root.iter():
        element.text, element.tail = (element.text or "").strip(), None
    if root.find("rt_info") is None:
        ElementTree.SubElement(root, "rt_info")
    return _write_xml(root)


def _write_xml(root: ElementTree.Element) -> bytes:
    content: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return content
