"""Cross-layer equalisation: channels that share one 8-bit scale get similar ranges; the network computes the same.

A convolution's output channel may be multiplied by a factor when every convolution that takes it divides by the same.
Between them may stand sums and ReLU. Nagel et al. (ICCV 2019) do it from weights alone; here the activations' sizes
are measured.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, numpy_helper

from tinydf_calibration.graph import GraphIndex, attribute, index_graph
from tinydf_calibration.moments import ChannelFacts
from tinydf_calibration.scales import per_channel

LARGEST_FACTOR = 16.0
_JOINING = frozenset({"Add", "Relu"})


@dataclass(frozen=True, slots=True)
class Stream:
    """Tensors whose channels can only be scaled together.

    Attributes:
        tensors: Their names.
        makers: Convolutions that make one of them.
        takers: Convolutions that take one.
    """

    tensors: tuple[str, ...]
    makers: tuple[str, ...]
    takers: tuple[str, ...]


def find_streams(model: ModelProto, layers: Collection[str]) -> tuple[Stream, ...]:
    """Returns the streams that only convolutions make and only convolutions take.

    Args:
        model: Float graph.
        layers: Nodes that can be put to 8 bit; a stream that touches a convolution outside is left alone.
    """
    index = index_graph(model)
    leader = _join(index)
    members: dict[str, list[str]] = {}
    for name in leader:
        members.setdefault(_root(name, leader), []).append(name)
    streams = []
    for names in members.values():
        makers = [index.producers[name] for name in names]
        takers = [user for name in names for user in index.consumers.get(name, [])]
        if not index.outputs.isdisjoint(names):
            continue
        if all(_scales(node, names, index, layers) for node in (*makers, *takers)):
            convs = [node.name for node in makers if node.op_type == "Conv"]
            users = dict.fromkeys(node.name for node in takers if node.op_type == "Conv")
            if convs and users:
                streams.append(Stream(tuple(names), tuple(convs), tuple(users)))
    return tuple(streams)


def find_channel_scales(
    model: ModelProto, streams: Sequence[Stream], facts: Mapping[str, ChannelFacts]
) -> dict[str, tuple[float, ...]]:
    """Returns, by the name of each convolution that makes a stream, the factor of each of its output channels.

    A factor balances how far a channel's activations and the weights that take it are from the largest of their kind.
    All are powers of two, so that the scaled network computes the same numbers to the last bit.

    Args:
        model: Float graph.
        streams: From ``find_streams``.
        facts: Of the streams' tensors.
    """
    index = index_graph(model)
    by_name = {node.name: node for node in index.nodes}
    scales = {}
    for stream in streams:
        activation = np.max([facts[name].largest for name in stream.tensors], axis=0)
        weights = np.max([_input_sizes(by_name[name], index) for name in stream.takers], axis=0)
        live = (activation > 0) & (weights > 0)
        ratio = np.where(live, np.sqrt(np.where(live, weights, 1) / np.where(live, activation, 1)), 1.0)
        middle = np.exp(np.log(ratio[live]).mean()) if live.any() else 1.0
        bounded = np.clip(np.where(live, ratio / middle, 1.0), 1 / LARGEST_FACTOR, LARGEST_FACTOR)
        factors = tuple(float(value) for value in np.exp2(np.rint(np.log2(bounded))))
        scales.update(dict.fromkeys(stream.makers, factors))
    return scales


def apply_channel_scales(model: ModelProto, scales: Mapping[str, Sequence[float]]) -> ModelProto:
    """Returns a copy of a model whose channels are scaled, and whose outputs are what they were.

    Args:
        model: Float graph that the scales were found on; it stays as it is.
        scales: Convolution -> factor of each output channel; empty for none.
    """
    scaled = ModelProto()
    scaled.CopyFrom(model)
    if not scales:
        return scaled
    index = index_graph(model)
    leader = _join(index)
    factors = {_root(_output_of(index, name), leader): np.asarray(row, np.float32) for name, row in scales.items()}
    values = {tensor.name: tensor for tensor in scaled.graph.initializer}
    for node in scaled.graph.node:
        if node.op_type != "Conv" or node.input[1] not in values:
            continue
        weight = numpy_helper.to_array(values[node.input[1]])
        if node.name in scales:
            column = np.asarray(scales[node.name], np.float32)
            weight = weight * per_channel(column, weight)
            if len(node.input) > 2 and node.input[2]:
                bias = numpy_helper.to_array(values[node.input[2]]) * column
                _replace(scaled, values, node, 2, bias)
        taken = _root(node.input[0], leader) if node.input[0] in leader else ""
        if taken in factors:
            weight = weight / _over_inputs(factors[taken], weight, _groups(node))
        if node.name in scales or taken in factors:
            _replace(scaled, values, node, 1, weight)
    return scaled


def _output_of(index: GraphIndex, name: str) -> str:
    """Returns the first output of a node."""
    return next(str(node.output[0]) for node in index.nodes if node.name == name)


def _join(index: GraphIndex) -> dict[str, str]:
    """Returns tensor -> another tensor of its stream, nearer to the stream's root, which names itself."""
    leader = {name: name for name in index.producers}
    for node in index.nodes:
        if node.op_type in _JOINING:
            for name in index.activations(node):
                if name in leader:
                    leader[_root(name, leader)] = _root(node.output[0], leader)
    return leader


def _root(name: str, leader: Mapping[str, str]) -> str:
    while leader[name] != name:
        name = leader[name]
    return name


def _scales(node: NodeProto, names: Collection[str], index: GraphIndex, layers: Collection[str]) -> bool:
    """Whether scaling the channels of some tensors passes through a node unharmed."""
    if node.op_type == "Conv":
        inputs = index.activations(node)
        return node.name in layers and len(inputs) == 1 and node.input[1] in index.constants
    if node.op_type not in _JOINING:
        return False
    shapes = {index.shapes.get(name) for name in (*node.input, *node.output)}
    return len(shapes) == 1 and all(name in names for name in node.input)


def _groups(node: NodeProto) -> int:
    return int(str(attribute(node, "group", 1)))


def _input_sizes(node: NodeProto, index: GraphIndex) -> NDArray[np.float64]:
    """Returns for each input channel the largest weight that takes it."""
    weight = np.abs(index.constant(node.input[1]).astype(np.float64))
    by_group = weight.reshape(_groups(node), -1, weight.shape[1], int(np.prod(weight.shape[2:])))
    return np.asarray(by_group.max(axis=(1, 3)).ravel())


def _over_inputs(factors: NDArray[np.float32], weight: NDArray[np.generic], groups: int) -> NDArray[np.float32]:
    """Returns factors of input channels, spread so that they divide a weight of O x I x ...."""
    rows = factors.reshape(groups, 1, -1).repeat(weight.shape[0] // groups, axis=1)
    return rows.reshape(weight.shape[0], weight.shape[1], *[1] * (weight.ndim - 2))


def _replace(model: ModelProto, values: dict[str, object], node: NodeProto, place: int, value: object) -> None:
    """Gives a node a constant of its own: another node may share the old one."""
    name = f"{node.input[place]}_of_{node.name}"
    tensor = numpy_helper.from_array(np.asarray(value, np.float32), name)
    model.graph.initializer.append(tensor)
    values[name] = tensor
    node.input[place] = name
