"""Traced graph -> the float graph that calibration, quantisation and every engine start from.

What is computed stays; how it is written becomes what engines know best: pooled means are pools, sizes are constants.
"""

from __future__ import annotations

import math

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper, shape_inference

from tinydf_calibration.graph import GraphIndex, attribute, index_graph


def prepare_graph(model: ModelProto) -> ModelProto:
    """Returns a traced model with a plainer graph that computes the same.

    - a mean over height and width that keeps them becomes ``GlobalAveragePool``;
    - ``Resize`` to sizes computed from its input's shape becomes one by constant factors;
    - nodes and constants that nothing uses any more go;
    - every tensor gets its shape, so that reading the graph needs no inference.

    The same model gives the same bytes, and preparing twice changes nothing.

    Args:
        model: Float32 model without weights stored apart; it stays as it is.
    """
    prepared = ModelProto()
    prepared.CopyFrom(model)
    _name_nodes(prepared)
    index = index_graph(prepared)
    nodes: list[NodeProto] = []
    for node in index.nodes:
        if node.op_type == "ReduceMean" and _keeps_pooled_axes(node, index):
            nodes.append(helper.make_node("GlobalAveragePool", [node.input[0]], list(node.output), name=node.name))
        elif node.op_type == "Resize":
            # The sizes may be known only once the map before this one has a constant size.
            nodes.append(_resize_by_factors(node, prepared, nodes))
        else:
            nodes.append(node)
    _set_nodes(prepared, nodes)
    _drop_unused(prepared)
    del prepared.graph.value_info[:]
    return shape_inference.infer_shapes(prepared)


def _name_nodes(model: ModelProto) -> None:
    taken: set[str] = set()
    for position, node in enumerate(model.graph.node):
        if not node.name or node.name in taken:
            node.name = f"{node.name or node.op_type}_{position}"
        taken.add(node.name)


def _keeps_pooled_axes(node: NodeProto, index: GraphIndex) -> bool:
    rank = index.rank(node.input[0])
    if rank != 4 or not attribute(node, "keepdims", 1) or len(node.input) < 2 or node.input[1] not in index.constants:
        return False
    return sorted(int(axis) % 4 for axis in index.constant(node.input[1]).ravel()) == [2, 3]


def _resize_by_factors(node: NodeProto, model: ModelProto, before: list[NodeProto]) -> NodeProto:
    """Returns the node with constant factors where height and width are known, else the node itself."""
    if len(node.input) < 4 or not node.input[3]:
        return node
    trial = ModelProto()
    trial.CopyFrom(model)
    _set_nodes(trial, [*before, *[n for n in model.graph.node if n.name not in {b.name for b in before}]])
    del trial.graph.value_info[:]
    shapes = index_graph(trial).shapes
    source = shapes.get(node.input[0], ())
    target = _target_sizes(node.input[3], trial)
    if len(source) != 4 or target is None or None in source[2:]:
        return node
    factors = [1.0, 1.0, *(_factor(int(old or 0), new) for old, new in zip(source[2:], target, strict=True))]
    name = f"{node.name}_factors"
    model.graph.initializer.append(numpy_helper.from_array(np.array(factors, np.float32), name))
    plain = helper.make_node("Resize", [node.input[0], "", name], list(node.output), name=node.name)
    plain.attribute.extend(node.attribute)
    return plain


def _target_sizes(name: str, model: ModelProto) -> tuple[int, int] | None:
    """Returns height and width out of the sizes that a Resize is given: a constant, or a shape joined with one."""
    index = index_graph(model)
    if name in index.constants:
        sizes = index.constant(name).ravel()
    else:
        maker = index.producers.get(name)
        if maker is None or maker.op_type != "Concat" or maker.input[-1] not in index.constants:
            return None
        sizes = index.constant(maker.input[-1]).ravel()
    return (int(sizes[-2]), int(sizes[-1])) if len(sizes) >= 2 else None


def _factor(old: int, new: int) -> float:
    """Returns the float32 factor that takes one size to the other when the product is rounded down."""
    factor = np.float32(new / old)
    while math.floor(float(factor) * old) < new:
        factor = np.nextafter(factor, np.float32(np.inf))
    return float(factor)


def _set_nodes(model: ModelProto, nodes: list[NodeProto]) -> None:
    copies = []
    for node in nodes:
        copied = NodeProto()
        copied.CopyFrom(node)
        copies.append(copied)
    del model.graph.node[:]
    model.graph.node.extend(copies)


def _drop_unused(model: ModelProto) -> None:
    """Takes out what no output depends on."""
    index = index_graph(model)
    roots = [index.producers[name] for name in index.outputs if name in index.producers]
    needed = {node.name for node in index.upstream(roots)}
    _set_nodes(model, [node for node in index.nodes if node.name in needed])
    used = {name for node in model.graph.node for name in node.input} | index.outputs
    kept: list[TensorProto] = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
