"""Crops -> moments of activations, in bounded memory.

Of each channel the mean and the largest magnitude, for equalisation and bias correction; of what each convolution
multiplies its weights with the second moments, for rounding.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto

from tinydf_calibration.graph import GraphIndex, attribute, convolutions, index_graph
from tinydf_calibration.scores import as_inputs, open_session
from tinydf_runtime.types import OnProgress

POSITIONS = 48
"""Places of a crop's map that are looked at: neighbours say the same."""
SEED = 3

Patches = NDArray[np.float64]


def observe_moments(
    model: ModelProto,
    layers: Collection[str],
    crops: NDArray[np.uint8],
    report: OnProgress = lambda done, total: None,
) -> dict[str, NDArray[np.float64]]:
    """Runs a float model over crops, one at a time.

    Args:
        model: Float graph.
        layers: Names of nodes; those that are no convolutions do not count.
        crops: N x side x side x 3, RGB, uint8; N is at least 1.
        report: Told how many of the crops are done.

    Returns:
        For each convolution G x K x K: for each of its groups the mean product of any two of the K values that one
        output is summed from.
    """
    index = index_graph(model)
    nodes = convolutions(index, layers)
    inputs = list(dict.fromkeys(node.input[0] for node in nodes))
    session = open_session(model, inputs)
    rng = np.random.default_rng(SEED)
    sums: dict[str, NDArray[np.float64]] = {}
    for done, planes in enumerate(as_inputs(crops), 1):
        found = dict(zip(inputs, session.run(inputs, {"image": planes}), strict=True))
        for node in nodes:
            patches = _draw_patches(found[node.input[0]][0], node, index, rng)
            moment = patches.transpose(0, 2, 1) @ patches / (patches.shape[1] * len(crops))
            sums[node.name] = sums[node.name] + moment if node.name in sums else moment
        report(done, len(crops))
    return sums


def _draw_patches(planes: NDArray[np.float32], node: NodeProto, index: GraphIndex, rng: np.random.Generator) -> Patches:
    """Returns G x P x K: at P places, what a convolution takes from each group of channels of a C x h x w map."""
    height, width = index.constant(node.input[1]).shape[2:]
    down, across = _numbers(node, "strides", (1, 1))
    gap_down, gap_across = _numbers(node, "dilations", (1, 1))
    top, left, bottom, right = _numbers(node, "pads", (0, 0, 0, 0))
    padded = np.pad(planes, ((0, 0), (top, bottom), (left, right)))
    rows = (padded.shape[1] - gap_down * (height - 1) - 1) // down + 1
    columns = (padded.shape[2] - gap_across * (width - 1) - 1) // across + 1
    places = rng.choice(rows * columns, min(POSITIONS, rows * columns), replace=False)
    y, x = places // columns * down, places % columns * across
    taps = [padded[:, y + row * gap_down, x + column * gap_across] for row in range(height) for column in range(width)]
    # C x taps x P, the order in which a weight's I x h x w is stored.
    values = np.stack(taps, 1).astype(np.float64)
    groups = int(str(attribute(node, "group", 1)))
    return values.reshape(groups, -1, len(places)).transpose(0, 2, 1)


def _numbers(node: NodeProto, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
    value = attribute(node, name, default)
    assert isinstance(value, list | tuple)
    return tuple(int(one) for one in value)


@dataclass(frozen=True, slots=True)
class ChannelFacts:
    """Statistics of the C channels of one activation.

    Attributes:
        mean: C, float64.
        largest: C, the largest magnitude of each.
    """

    mean: NDArray[np.float64]
    largest: NDArray[np.float64]


def observe_channels(model: ModelProto, tensors: Sequence[str], crops: NDArray[np.uint8]) -> dict[str, ChannelFacts]:
    """Runs a float model over crops, one at a time.

    Args:
        model: Float graph.
        tensors: Names of activations, each N x C x h x w.
        crops: N x side x side x 3, RGB, uint8; N is at least 1.
    """
    session = open_session(model, tensors)
    sums: dict[str, NDArray[np.float64]] = {}
    largest: dict[str, NDArray[np.float64]] = {}
    for planes in as_inputs(crops):
        for name, values in zip(tensors, session.run(list(tensors), {"image": planes}), strict=True):
            found = values.mean(axis=(2, 3), dtype=np.float64).sum(axis=0)
            extent = np.maximum(values.max(axis=(0, 2, 3)), -values.min(axis=(0, 2, 3))).astype(np.float64)
            sums[name] = sums[name] + found if name in sums else found
            largest[name] = np.maximum(largest[name], extent) if name in largest else extent
    return {name: ChannelFacts(sums[name] / len(crops), largest[name]) for name in tensors}
