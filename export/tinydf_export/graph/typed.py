"""Float32 graph, with or without Q/DQ pairs -> strongly typed graph, mostly float16, and whether float16 holds it.

TensorRT from version 11 on, and version 10 when asked, computes in exactly the types that a graph names.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper, shape_inference

from tinydf_calibration.graph import GraphIndex, index_graph
from tinydf_calibration.layers import largest_values
from tinydf_runtime.errors import QualityError

OPSET = 19
"""The first whose quantize/dequantize pairs take float16 scales."""
IR_VERSION = 9
_MAP_RANK = 4
"""Dimensions of a map of channels; vectors, such as the head's, have fewer."""
_PARAMETERS = {"Resize": (1, 2), "QuantizeLinear": (1, 2), "DequantizeLinear": (1, 2)}
"""Operator -> inputs whose type does not follow the operator's."""


def type_strongly(model: ModelProto) -> ModelProto:
    """Returns a strongly typed graph: maps in float16, and in float32 what needs its range or costs nothing.

    In float32 stay: everything upstream of a logarithm; the image before its first convolution; vectors, such as the
    head's and the probabilities; and operators with a constant that float16 cannot hold.

    Args:
        model: Prepared graph with constants as initializers; it stays as it is.

    Returns:
        A model whose inputs and outputs have the types that they had.
    """
    writer = _Writer(model)
    for node in writer.index.nodes:
        writer.write(node)
    return writer.finish()


def wide_nodes(index: GraphIndex) -> frozenset[str]:
    """Returns the names of the nodes that compute in float32."""
    logarithms = [node for node in index.nodes if node.op_type == "Log"]
    wide = {node.name for node in index.upstream(logarithms)}
    after_layer = {node.name for node in index.downstream([n for n in index.nodes if n.op_type in ("Conv", "Gemm")])}
    for node in index.nodes:
        on_vectors = all((index.rank(name) or 0) < _MAP_RANK for name in node.output)
        if on_vectors or node.name not in after_layer or not _fits_half(node, index):
            wide.add(node.name)
    return frozenset(wide)


def _fits_half(node: NodeProto, index: GraphIndex) -> bool:
    """Returns whether float16 holds a node's constants: none overflows, and no scalar, such as an epsilon, vanishes."""
    for position, name in enumerate(node.input):
        if name not in index.constants or position in _PARAMETERS.get(node.op_type, ()):
            continue
        values = index.constant(name)
        if values.dtype != np.float32:
            continue
        size = np.abs(values)
        unlimited = node.op_type == "Clip"
        if not unlimited and size.max(initial=0) > np.finfo(np.float16).max:
            return False
        if values.size == 1 and 0 < size.max() < np.finfo(np.float16).smallest_normal:
            return False
    return True


class _Writer:
    """Collects the nodes and constants of the typed graph."""

    def __init__(self, model: ModelProto) -> None:
        self.model, self.index = model, index_graph(model)
        self.wide = wide_nodes(self.index)
        self.types = _float_types(model)
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, TensorProto] = {}
        self.casts: dict[tuple[str, int], str] = {}

    def write(self, node: NodeProto) -> None:
        """Copies a node with inputs of its type."""
        copied = NodeProto()
        copied.CopyFrom(node)
        target = self._type_of(node)
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            copied.input[1] = self._constant(node.input[1], target)
        untouched = _PARAMETERS.get(node.op_type, ())
        for position, name in enumerate(node.input):
            if position not in untouched and name:
                copied.input[position] = self._taken(name, target)
        self.nodes.append(copied)
        for name in node.output:
            if self.types.get(name) is not None:
                self.types[name] = target
        for position, name in enumerate(node.output):
            if name in self.index.outputs and self.types.get(name) == TensorProto.FLOAT16:
                copied.output[position] = f"{name}_half"
                self.nodes.append(_cast(f"{name}_half", name, TensorProto.FLOAT))

    def finish(self) -> ModelProto:
        """Returns the model of what was written."""
        typed = ModelProto()
        typed.CopyFrom(self.model)
        graph = typed.graph
        used = {name for node in self.nodes for name in node.input}
        kept = [tensor for tensor in (*graph.initializer, *self.constants.values()) if tensor.name in used]
        del graph.node[:], graph.initializer[:], graph.value_info[:], typed.opset_import[:]
        graph.node.extend(self.nodes)
        graph.initializer.extend(kept)
        typed.opset_import.append(helper.make_opsetid("", OPSET))
        typed.ir_version = IR_VERSION
        return shape_inference.infer_shapes(typed)

    def _type_of(self, node: NodeProto) -> int:
        """Returns the float type that a node computes in."""
        if node.op_type == "Cast":
            return TensorProto.FLOAT
        if node.op_type == "QuantizeLinear":
            # It takes its input's type, so that nothing is rounded twice.
            return self.types.get(node.input[0]) or TensorProto.FLOAT
        if node.op_type == "DequantizeLinear":
            takers = self.index.consumers.get(node.output[0], [])
            return TensorProto.FLOAT if all(taker.name in self.wide for taker in takers) else TensorProto.FLOAT16
        return TensorProto.FLOAT if node.name in self.wide else TensorProto.FLOAT16

    def _taken(self, name: str, target: int) -> str:
        """Returns a tensor in the type that is asked for, writing a cast where it has the other."""
        if name in self.index.constants:
            return self._constant(name, target)
        found = self.types.get(name)
        if found is None or found == target:
            return name
        if (name, target) not in self.casts:
            self.casts[name, target] = f"{name}_as_{'half' if target == TensorProto.FLOAT16 else 'float'}"
            self.nodes.append(_cast(name, self.casts[name, target], target))
        return self.casts[name, target]

    def _constant(self, name: str, target: int) -> str:
        """Returns the name of a constant in the type that is asked for; numbers that are no floats stay as they are."""
        if target != TensorProto.FLOAT16 or self.index.constants[name].data_type != TensorProto.FLOAT:
            return name
        limit = np.finfo(np.float16).max
        values = np.clip(self.index.constant(name).astype(np.float32), -limit, limit)
        self.constants.setdefault(name, numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
        return f"{name}_half"


def _float_types(model: ModelProto) -> dict[str, int]:
    """Returns the type of each activation that is a float."""
    inferred = shape_inference.infer_shapes(model).graph
    values = (*inferred.input, *inferred.value_info, *inferred.output)
    found = {value.name: value.type.tensor_type.elem_type for value in values}
    return {name: TensorProto.FLOAT for name, element in found.items() if element == TensorProto.FLOAT}


def _cast(taken: str, given: str, target: int) -> NodeProto:
    return helper.make_node("Cast", [taken], [given], name=f"{given}_cast", to=target)


LARGEST_HALF = float(np.finfo(np.float16).max)


@dataclass(frozen=True, slots=True)
class HalfScan:
    """The largest value of all layers that are computed in float16.

    Attributes:
        layers: Number of layers checked.
        largest: Largest magnitude of their outputs.
        layer: Name of the layer that has it.
    """

    layers: int
    largest: float
    layer: str


def scan_half(graph: ModelProto, crops: NDArray[np.uint8]) -> HalfScan:
    """Returns the largest value of all float16 layers.

    Args:
        graph: Float graph.
        crops: N x side x side x 3, RGB, uint8.

    Raises:
        QualityError: A layer's values exceed float16, or are NaN.
    """
    index = index_graph(graph)
    wide = wide_nodes(index)
    makers = {node.output[0]: node.name for node in index.nodes if node.name not in wide}
    found = largest_values(graph, list(makers), crops)
    tensor = max(found, key=lambda name: found[name])
    if not found[tensor] <= LARGEST_HALF:
        raise QualityError(
            f"layer {makers[tensor]}: reaches {found[tensor]:.3g}, but float16 ends at {LARGEST_HALF:g}. Nothing was "
            "written; export without --fp16."
        )
    return HalfScan(len(found), found[tensor], makers[tensor])
