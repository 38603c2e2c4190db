"""Float graph -> fusion groups: a convolution with the operators without weights that follow it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from onnx import ModelProto

from tinydf_calibration.graph import index_graph


@dataclass(frozen=True, slots=True)
class FusionGroup:
    """Nodes that an engine computes as one, so that they are all in 8 bit or all in float.

    Attributes:
        name: Of the convolution.
        nodes: Its name and those of the sums, products, gates and pools that follow before the next convolution.
        known_as: Names of nodes and tensors under which an engine's profile shows its work.
        shape: Of the convolution's weights.
    """

    name: str
    nodes: tuple[str, ...]
    known_as: frozenset[str]
    shape: tuple[int, ...]


def find_fusion_groups(model: ModelProto, layers: Sequence[str]) -> tuple[FusionGroup, ...]:
    """Returns the fusion groups of a graph, in the order in which they compute.

    An operator that several convolutions lead to belongs to the last of them. One that none leads to belongs to no
    group: it computes in 8 bit only where its inputs do.

    Args:
        model: Float graph.
        layers: Names of the nodes that can be put to 8 bit.
    """
    index = index_graph(model)
    place = {node.name: number for number, node in enumerate(index.nodes)}
    owner: dict[str, str] = {}
    for node in index.nodes:
        if node.op_type == "Conv":
            owner[node.name] = node.name
            continue
        makers = [index.producers[name] for name in node.input if name in index.producers]
        owners = [owner[maker.name] for maker in makers if maker.name in owner]
        if owners:
            owner[node.name] = max(owners, key=lambda name: place[name])
    names: dict[str, set[str]] = {}
    for node in index.nodes:
        if node.name in owner:
            names.setdefault(owner[node.name], set()).update((node.name, *node.output))
    chosen = set(layers)
    groups = []
    for node in index.nodes:
        if node.op_type == "Conv" and node.name in chosen:
            nodes = tuple(layer for layer in layers if owner.get(layer) == node.name)
            shape = tuple(int(size) for size in index.constants[node.input[1]].dims)
            groups.append(FusionGroup(node.name, nodes, frozenset(names[node.name]), shape))
    return tuple(groups)
