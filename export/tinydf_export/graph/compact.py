"""ONNX model -> the same model with weights stored at half the size; what it computes is equal bit for bit.

A shipped checkpoint keeps its weights in float16. Folding a batch norm multiplies them by a float32 scale, and the
products need float32; so the file keeps both factors, and the graph multiplies them. Engines do that once, on loading.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from tinydf_calibration.scales import per_channel

MIN_SIZE = 1024
"""Values from which a tensor is worth two more nodes."""

Factors = Mapping[str, tuple[NDArray[np.float32], NDArray[np.float32] | None]]
"""Name of a weight -> its value before folding, and the scale of each of its output channels."""


def compact_weights(model: ModelProto, factors: Factors, min_size: int = MIN_SIZE) -> ModelProto:
    """Stores a weight as float16 and scale wherever their product is the weight, bit for bit.

    Args:
        model: Float32 model; it stays as it is.
        factors: Of its weights, by the names in the graph.
        min_size: Values from which a weight is stored so.

    Returns:
        A model that computes the same; weights that float16 cannot hold stay float32.
    """
    compacted = ModelProto()
    compacted.CopyFrom(model)
    tensors: list[TensorProto] = []
    nodes: list[NodeProto] = []
    for tensor in model.graph.initializer:
        stored = _split(tensor, factors, min_size)
        if stored is None:
            tensors.append(tensor)
        else:
            tensors.extend(stored)
            nodes.extend(_rebuild(tensor.name, scaled=len(stored) == 2))
    del compacted.graph.initializer[:]
    compacted.graph.initializer.extend(tensors)
    rest = list(compacted.graph.node)
    del compacted.graph.node[:]
    compacted.graph.node.extend([*nodes, *rest])
    return compacted


def _split(tensor: TensorProto, factors: Factors, min_size: int) -> list[TensorProto] | None:
    """Returns the float16 half of a weight and its scale, if any; None where float32 is needed."""
    if tensor.name not in factors or tensor.data_type != TensorProto.FLOAT:
        return None
    weight = numpy_helper.to_array(tensor)
    trained, scale = factors[tensor.name]
    if weight.size < min_size or weight.shape != trained.shape or np.abs(trained).max() > np.finfo(np.float16).max:
        return None
    half = trained.astype(np.float16)
    columns = None if scale is None else per_channel(scale, weight)
    product = half.astype(np.float32) if columns is None else half.astype(np.float32) * columns
    if not np.array_equal(product, weight):
        return None
    stored = [numpy_helper.from_array(half, f"{tensor.name}.half")]
    if columns is not None:
        stored.append(numpy_helper.from_array(columns, f"{tensor.name}.scale"))
    return stored


def _rebuild(name: str, *, scaled: bool) -> list[NodeProto]:
    """Returns the nodes that make a weight from its stored parts, under its old name."""
    wide = f"{name}.wide" if scaled else name
    nodes = [helper.make_node("Cast", [f"{name}.half"], [wide], name=f"{name}.cast", to=TensorProto.FLOAT)]
    if scaled:
        nodes.append(helper.make_node("Mul", [wide, f"{name}.scale"], [name], name=f"{name}.multiply"))
    return nodes
