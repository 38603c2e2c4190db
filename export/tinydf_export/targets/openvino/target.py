"""Checkpoint -> OpenVINO IR, a pair of files: float32, weights in float16, or INT8."""

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

from tinydf.checkpoint import Checkpoint
from tinydf_calibration.sampler import LabelledCrops
from tinydf_calibration.table import CalibrationTable
from tinydf_export.graph.compact import MIN_SIZE
from tinydf_export.proof.prove import MAX_AUC_DROP
from tinydf_export.runner import ExportJob, finish_export, start_export
from tinydf_export.targets.openvino.int8 import quantize
from tinydf_export.targets.openvino.layout import convolve_pictures
from tinydf_export.targets.table import ExportedModel
from tinydf_runtime.engines.engine import load_engine
from tinydf_runtime.engines.openvino_engine import WEIGHTS_KEY
from tinydf_runtime.engines.quiet_openvino import core, openvino
from tinydf_runtime.io.files import write_atomically
from tinydf_runtime.models.seal import BLANK_SEAL, SEAL_KEY, seal
from tinydf_runtime.models.spec import GOLDEN_KEY, METADATA_KEY, ModelSpec, Precision


def export(
    checkpoint: Checkpoint,
    out: Path,
    *,
    precision: Precision = "fp32",
    table: CalibrationTable | None = None,
    crops: LabelledCrops | None = None,
    max_auc_drop: float = MAX_AUC_DROP,
) -> ExportedModel:
    """Exports a network, and leaves files only if they give what the network gives.

    The same checkpoint, table and versions give the same bytes.

    Args:
        checkpoint: The network.
        out: The ``.xml`` file; the ``.bin`` goes beside it.
        precision: Number format of the weights. ``fp16`` is computed with in float32, ``int8`` in 8 bit.
        table: Calibration table, which INT8 needs.
        crops: To measure the exported model on, beside the golden crops.
        max_auc_drop: Largest loss of AUC on these.

    Raises:
        UsageError: INT8 without a table.
        StaleTableError: The table was made for another checkpoint, graph or crop recipe.
        QualityError: The exported model differs from the checkpoint; nothing is written.
        OutputError: A file cannot be written.
    """
    job = start_export(
        checkpoint, precision=precision, table=table, crops=crops, max_auc_drop=max_auc_drop, tools=("openvino",)
    )
    model = quantize(job) if precision == "int8" else job.graph
    pair = convert(convolve_pictures(model), half=precision == "fp16")
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder) / "trial.xml"
        write_pair(pair.describe(job.spec, job), pair.weights, trial)
        spec, proof = finish_export(job, load_engine(trial))
    graph = pair.describe(spec, job)
    write_pair(graph, pair.weights, out)
    return ExportedModel(out, spec, proof, len(graph) + len(pair.weights))


@dataclass(frozen=True, slots=True)
class Pair:
    """A converted model.

    Attributes:
        graph: What the ``.xml`` file says, without TinyDF's metadata.
        weights: The ``.bin`` file.
    """

    graph: bytes
    weights: bytes

    def describe(self, spec: ModelSpec, job: ExportJob) -> bytes:
        """Returns the ``.xml`` file with spec, golden crops, hash of the weights and seal in ``rt_info``."""
        root = ElementTree.fromstring(self.graph)
        info = root.find("rt_info")
        assert info is not None
        metadata = {
            METADATA_KEY: spec.to_json(),
            GOLDEN_KEY: job.golden_text,
            WEIGHTS_KEY: hashlib.sha256(self.weights).hexdigest(),
            SEAL_KEY: BLANK_SEAL,
        }
        for key, text in metadata.items():
            ElementTree.SubElement(info, key, value=text)
        return seal(_write_xml(root), self.weights)


def convert(model: onnx.ModelProto, *, half: bool) -> Pair:
    """Converts an ONNX model, the same one always to the same bytes.

    Args:
        model: Float32, or with quantize/dequantize pairs.
        half: Stores weights in float16; they are computed with in float32.
    """
    # Not above, where it would be imported before the telemetry is off.
    from openvino._offline_transformations import apply_moc_transformations

    converted = core().read_model(model.SerializeToString(deterministic=True))
    # What convert_model does too, but that sends statistics of use over the network.
    apply_moc_transformations(converted, cf=True)
    _share_numbers(converted)
    _name_nodes(converted, model)
    if half:
        _halve_weights(converted)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.xml"
        openvino.save_model(converted, path, compress_to_fp16=False)
        return Pair(_slim(path.read_bytes()), path.with_suffix(".bin").read_bytes())


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
