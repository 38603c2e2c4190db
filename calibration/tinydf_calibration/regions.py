"""Float graph -> the nodes that may compute in 8 bit, from its structure alone."""

from __future__ import annotations

from onnx import NodeProto

from tinydf_calibration.graph import GraphIndex

QUANTIZABLE = frozenset({"Conv", "Add", "Mul", "Concat", "Sigmoid", "GlobalAveragePool"})
"""Operators that some engine computes in 8 bit."""
PASSING = frozenset({"Reshape", "Transpose"})
"""Operators that move values and change none: what they make has the range of what they take."""
CLIPPING = frozenset({"Clip", "Relu"})
_CONVOLUTIONS = frozenset({"Conv"})
_LAYERS = frozenset({"Conv", "Gemm", "MatMul"})


def find_quantizable(index: GraphIndex) -> tuple[NodeProto, ...]:
    """Returns the nodes that can be put to 8 bit, in order.

    These are operators on whole maps of channels. Left out are:

    - what leads to a logarithm, since it asks for the ratio of small values and 8 bit keep only large ones, and what is
      joined with logarithms;
    - the last convolution on each way to an output, whose few channels are logits;
    - the head, whose splines work on vectors, and the pooled features that it takes.
    """
    logarithms = [node for node in index.nodes if node.op_type == "Log"]
    joined = [user for node in logarithms for user in index.consumers.get(node.output[0], [])]
    always_float = {node.name for node in index.upstream([*logarithms, *joined])}
    always_float |= {node.name for node in index.nodes if _is_last(node, index)}
    return tuple(
        node
        for node in index.nodes
        if node.op_type in QUANTIZABLE
        and node.name not in always_float
        and (node.op_type != "Conv" or node.input[1] in index.constants)
        and (node.op_type == "Conv" or len(index.activations(node)) == len(node.input))
        and all(index.rank(name) == 4 for name in (*index.activations(node), node.output[0]))
        and _leads_to(_CONVOLUTIONS if is_pooled(node, index) else _LAYERS, node, index)
    )


def source_of(name: str, index: GraphIndex) -> str:
    """Returns the tensor that a tensor's values come from, behind all operators that only move them."""
    while (maker := index.producers.get(name)) is not None and maker.op_type in PASSING:
        name = maker.input[0]
    return name


def clip_behind(node: NodeProto, index: GraphIndex) -> NodeProto | None:
    """Returns the clip that alone takes what a node makes, None where there is none."""
    users = index.consumers.get(node.output[0], [])
    if len(users) != 1 or users[0].op_type not in CLIPPING or node.output[0] in index.outputs:
        return None
    return users[0]


def clip_bounds(node: NodeProto, index: GraphIndex) -> tuple[float, float]:
    """Returns the lowest and highest value that a clip lets through."""
    if node.op_type == "Relu":
        return 0.0, float("inf")
    low, high = ([*node.input[1:], "", ""])[:2]
    lowest = float(index.constant(low)) if low else float("-inf")
    return lowest, float(index.constant(high)) if high else float("inf")


def is_pooled(node: NodeProto, index: GraphIndex) -> bool:
    """Whether a node makes maps of one pixel."""
    return index.shapes.get(node.output[0], ())[2:] == (1, 1)


def count_convolutions_before(node: NodeProto, index: GraphIndex) -> int:
    """Returns how many convolutions stand before a node; those of pooled features, maps of one pixel, do not count."""
    return sum(
        earlier.op_type == "Conv" and earlier.name != node.name and not is_pooled(earlier, index)
        for earlier in index.upstream([node])
    )


def _is_last(node: NodeProto, index: GraphIndex) -> bool:
    return node.op_type == "Conv" and not _leads_to(_LAYERS, node, index)


def _leads_to(operators: frozenset[str], node: NodeProto, index: GraphIndex) -> bool:
    return any(later.op_type in operators and later.name != node.name for later in index.downstream([node]))
