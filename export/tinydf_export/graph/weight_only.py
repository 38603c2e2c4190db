"""Float graph -> the same with large weights stored as int8 and dequantised before use.

Half the size of float16 and no range to calibrate, since weights are known: what most users of Core ML want.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper

from tinydf_calibration.scales import store_weight


def compress_weights(model: ModelProto, layers: Collection[str]) -> ModelProto:
    """Stores the weights of convolutions as int8, one symmetric scale a channel.

    Args:
        model: Prepared float graph, or what became of it; it stays as it is.
        layers: Names of nodes. Those that are no convolutions or have stored weights already stay as they are.

    Returns:
        A graph whose weights come out of ``DequantizeLinear``, with scales that float16 holds.
    """
    compressed = ModelProto()
    compressed.CopyFrom(model)
    constants = {tensor.name: tensor for tensor in compressed.graph.initializer}
    nodes: list[NodeProto] = []
    for node in compressed.graph.node:
        if node.op_type == "Conv" and node.name in layers and node.input[1] in constants:
            name = f"{node.name}_weight"
            weight = numpy_helper.to_array(constants[node.input[1]])
            # Core ML takes no subnormal scale: one nearly dead channel would keep its whole layer in float16.
            smallest = np.full(len(weight), np.finfo(np.float16).tiny, np.float32)
            stored, scales = store_weight(weight.astype(np.float32), smallest, half=True)
            zeros = np.zeros(scales.shape, np.int8)
            parts: dict[str, NDArray[Any]] = {"quantized": stored, "scale": scales, "zero_point": zeros}
            for part, values in parts.items():
                constants[f"{name}_{part}"] = numpy_helper.from_array(values, f"{name}_{part}")
            given = [f"{name}_{part}" for part in parts]
            nodes.append(helper.make_node("DequantizeLinear", given, [name], name=f"{name}_dequantize", axis=0))
            node.input[1] = name
        nodes.append(node)
    used = {name for node in nodes for name in node.input}
    kept = [tensor for name, tensor in constants.items() if name in used]
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del compressed.graph.node[:], compressed.graph.initializer[:]
    compressed.graph.node.extend(copies)
    compressed.graph.initializer.extend(kept)
    return compressed
