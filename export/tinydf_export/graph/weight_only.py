"""Float graph -> the same with large weights stored as int8 and dequantised before use.

Half the size of float16 and no range to calibrate, since weights are known: what most users of Core ML want.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper

from tinydf_calibration.graph import GraphIndex, index_graph
from tinydf_calibration.quantize import corrected_bias
from tinydf_calibration.rounding import moves_of
from tinydf_calibration.scales import quantize_weight, store_weight
from tinydf_calibration.table import CalibrationTable


def compress_weights(model: ModelProto, layers: Collection[str], table: CalibrationTable | None = None) -> ModelProto:
    """Stores the weights of convolutions as int8, one symmetric scale a channel.

    Args:
        model: Prepared float graph, or what became of it; it stays as it is.
        layers: Names of nodes. Those that are no convolutions or have stored weights already stay as they are.
        table: Says how weights are rounded together and how biases are corrected; without, each weight goes to the
            nearest step.

    Returns:
        A graph whose weights come out of ``DequantizeLinear``, with scales that float16 holds.

    Raises:
        StaleTableError: The table's rounding does not fit a weight.
    """
    compressed = ModelProto()
    compressed.CopyFrom(model)
    index = index_graph(compressed)
    constants = dict(index.constants)
    nodes: list[NodeProto] = []
    for node in compressed.graph.node:
        if node.op_type == "Conv" and node.name in layers and node.input[1] in index.constants:
            name = f"{node.name}_weight"
            stored, scales = _stored(node, index, table)
            zeros = np.zeros(scales.shape, np.int8)
            parts: dict[str, NDArray[Any]] = {"quantized": stored, "scale": scales, "zero_point": zeros}
            for part, values in parts.items():
                constants[f"{name}_{part}"] = numpy_helper.from_array(values, f"{name}_{part}")
            given = [f"{name}_{part}" for part in parts]
            nodes.append(helper.make_node("DequantizeLinear", given, [name], name=f"{name}_dequantize", axis=0))
            if table is not None and node.name in table.bias_shifts:
                bias = corrected_bias(node, index, table)
                constants[f"{node.name}_bias"] = numpy_helper.from_array(np.asarray(bias), f"{node.name}_bias")
                node.input[:] = [node.input[0], name, f"{node.name}_bias"]
            else:
                node.input[1] = name
        nodes.append(node)
    used = {name for node in nodes for name in node.input}
    kept = [tensor for name, tensor in constants.items() if name in used]
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del compressed.graph.node[:], compressed.graph.initializer[:]
    compressed.graph.node.extend(copies)
    compressed.graph.initializer.extend(kept)
    return compressed


def _stored(
    node: NodeProto, index: GraphIndex, table: CalibrationTable | None
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    weight = index.constant(node.input[1]).astype(np.float32)
    moves = None if table is None else moves_of(table, node.name, weight.shape)
    if moves is not None:
        return quantize_weight(weight, moves=moves)
    return store_weight(weight, half=True)
