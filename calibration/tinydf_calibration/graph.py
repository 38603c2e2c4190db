"""ONNX graph -> look-up tables: producer and consumers of each tensor, constants, shapes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper, shape_inference

Shape = tuple[int | None, ...]
Step = Callable[[NodeProto], list[NodeProto]]


@dataclass(frozen=True, slots=True)
class GraphIndex:
    """Look-up tables over a model's graph, which must not change while they are in use.

    Attributes:
        nodes: In the order in which they compute.
        producers: Tensor -> node that makes it.
        consumers: Tensor -> nodes that take it, in order.
        constants: Name -> initializer.
        shapes: Activation -> shape; None where a dimension varies or is unknown.
        outputs: Names of the graph's outputs.
    """

    nodes: tuple[NodeProto, ...]
    producers: dict[str, NodeProto]
    consumers: dict[str, list[NodeProto]]
    constants: dict[str, TensorProto]
    shapes: dict[str, Shape]
    outputs: frozenset[str]

    def activations(self, node: NodeProto) -> list[str]:
        """Returns a node's inputs that are neither constant nor left out, in order."""
        return [name for name in node.input if name and name not in self.constants]

    def constant(self, name: str) -> NDArray[np.generic]:
        """Returns an initializer's value."""
        return numpy_helper.to_array(self.constants[name])

    def rank(self, name: str) -> int | None:
        """Returns how many dimensions a tensor has, None where that is unknown."""
        return len(self.shapes[name]) if name in self.shapes else None

    def upstream(self, starts: Iterable[NodeProto]) -> Iterator[NodeProto]:
        """Yields each node that some of ``starts`` depends on, and these themselves, once."""
        return self._walk(starts, lambda node: [self.producers[n] for n in node.input if n in self.producers])

    def downstream(self, starts: Iterable[NodeProto]) -> Iterator[NodeProto]:
        """Yields each node that depends on some of ``starts``, and these themselves, once."""
        return self._walk(starts, lambda node: [user for n in node.output for user in self.consumers.get(n, [])])

    @staticmethod
    def _walk(starts: Iterable[NodeProto], step: Step) -> Iterator[NodeProto]:
        waiting, seen = list(starts), set[str]()
        while waiting:
            node = waiting.pop()
            if node.name not in seen:
                seen.add(node.name)
                yield node
                waiting.extend(step(node))


def index_graph(model: ModelProto) -> GraphIndex:
    """Builds the look-up tables of a model. Every node must have a name of its own.

    Raises:
        ValueError: Two nodes share a name, or one has none.
    """
    nodes = tuple(model.graph.node)
    names = {node.name for node in nodes}
    if len(names) != len(nodes) or "" in names:
        raise ValueError("graph: found nodes without a name of their own, expected one each. Run prepare_graph first.")
    inferred = shape_inference.infer_shapes(model).graph
    producers = {output: node for node in nodes for output in node.output if output}
    consumers: dict[str, list[NodeProto]] = {}
    for node in nodes:
        for name in dict.fromkeys(node.input):
            consumers.setdefault(name, []).append(node)
    values = (*inferred.input, *inferred.value_info, *inferred.output)
    return GraphIndex(
        nodes,
        producers,
        consumers,
        {tensor.name: tensor for tensor in model.graph.initializer},
        {value.name: _shape(value) for value in values if value.type.tensor_type.HasField("shape")},
        frozenset(value.name for value in model.graph.output),
    )


def convolutions(index: GraphIndex, layers: Collection[str]) -> list[NodeProto]:
    """Returns the convolutions among some layers."""
    return [node for node in index.nodes if node.op_type == "Conv" and node.name in layers]


def attribute(node: NodeProto, name: str, default: object = None) -> object:
    """Returns a node's attribute, ``default`` where it has none of that name."""
    for item in node.attribute:
        if item.name == name:
            value: object = helper.get_attribute_value(item)
            return value
    return default


def _shape(value: ValueInfoProto) -> Shape:
    sizes = value.type.tensor_type.shape.dim
    return tuple(size.dim_value if size.HasField("dim_value") else None for size in sizes)
