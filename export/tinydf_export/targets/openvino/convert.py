"""ONNX graph -> content of OpenVINO's ``.xml`` and ``.bin`` files, the same bytes for the same graph."""

from __future__ import annotations

import tempfile
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import onnx

from tinydf_export.graph.compact import MIN_SIZE
from tinydf_runtime.engines.quiet_openvino import openvino


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


def write_xml(root: ElementTree.Element) -> bytes:
    """Returns an ``.xml`` file's content."""
    content: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return content


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
    return write_xml(root)
