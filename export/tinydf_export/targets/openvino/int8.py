"""Float graph -> 8-bit graph that OpenVINO computes as it is written, and stores small."""

from __future__ import annotations

import math
from dataclasses import replace

import onnx

from tinydf_calibration.graph import index_graph
from tinydf_calibration.scales import store_weight
from tinydf_export.graph.compact import MIN_SIZE
from tinydf_export.job import ExportJob
from tinydf_export.quantise import insert_pairs


def quantise_layers(job: ExportJob) -> onnx.ModelProto:
    """Returns the job's graph in 8 bit, but for the layers that OpenVINO gets wrong.

    Args:
        job: Of precision int8.
    """
    assert job.table is not None
    kept_float = tuple(sorted({*job.table.float_layers, *miscomputed_layers(job.graph)}))
    table = replace(job.table, float_layers=kept_float)
    return store_float_layers(insert_pairs(replace(job, table=table), "openvino"))


def miscomputed_layers(model: onnx.ModelProto) -> tuple[str, ...]:
    """Returns the convolutions that must not be left to OpenVINO's 8-bit kernels.

    On processors with AMX, those of 2026.4 give values without any likeness where a group takes 96 or 288 channels, and
    where steps are as long as a kernel of 4 x 4 over 32 channels. A file may be made on another machine than it runs
    on, so that its parity report would not show it. All groups but single channels are left out, and all such steps.
    """
    found = []
    for node in model.graph.node:
        if node.op_type == "Conv":
            attributes = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
            kernel = list(attributes.get("kernel_shape", []))
            skips = bool(kernel) and max(kernel) > 1 and kernel == list(attributes.get("strides", []))
            groups = attributes.get("group", 1)
            if skips or (groups > 1 and not _is_depthwise(node, model)):
                found.append(node.name)
    return tuple(found)


def _is_depthwise(node: onnx.NodeProto, model: onnx.ModelProto) -> bool:
    """Whether each group of a convolution takes a single channel."""
    return any(tensor.name == node.input[1] and tensor.dims[1] == 1 for tensor in model.graph.initializer)


def store_float_layers(model: onnx.ModelProto) -> onnx.ModelProto:
    """Returns a quantised model whose float layers store their weights in 8 bit too, and still compute in float.

    8 bit of weights alone cost no accuracy, and float would cost four bytes each.
    """
    stored = onnx.ModelProto()
    stored.CopyFrom(model)
    index = index_graph(stored)
    exact = {node.name for node in index.upstream([node for node in index.nodes if node.op_type == "Log"])}
    names = {node.input[1] for node in index.nodes if _is_layer(node) and node.name not in exact}
    nodes: list[onnx.NodeProto] = []
    for tensor in list(stored.graph.initializer):
        name = tensor.name
        if name in names and tensor.data_type == onnx.TensorProto.FLOAT and math.prod(tensor.dims) >= MIN_SIZE:
            weight, scales = store_weight(onnx.numpy_helper.to_array(tensor))
            tensor.CopyFrom(onnx.numpy_helper.from_array(weight, f"{name}.stored"))
            stored.graph.initializer.append(onnx.numpy_helper.from_array(scales, f"{name}.scale"))
            inputs = [f"{name}.stored", f"{name}.scale"]
            nodes.append(onnx.helper.make_node("DequantizeLinear", inputs, [name], name=f"{name}.dequantize", axis=0))
    nodes.extend(index.nodes)
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del stored.graph.node[:]
    stored.graph.node.extend(copies)
    return stored


def _is_layer(node: onnx.NodeProto) -> bool:
    """Whether a node multiplies with a weight whose first axis is the output's channels."""
    return node.op_type == "Conv" or (
        node.op_type == "Gemm" and any(item.name == "transB" and item.i for item in node.attribute)
    )
