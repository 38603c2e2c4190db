"""Graph -> one that OpenVINO computes without moving pictures from one memory layout to another and back.

Pictures have three channels, and OpenVINO pools and resizes in blocks of 16: it copies the picture into such blocks
before. Its convolutions take the picture as it is. Measured: the copies are a fifth of the whole network in 8 bit.
"""

from __future__ import annotations

import math

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, helper, numpy_helper

from tinydf_calibration.graph import GraphIndex, index_graph

_FEW_CHANNELS = 4


def convolve_pictures(model: onnx.ModelProto) -> onnx.ModelProto:
    """Returns the model with pools and resizing of pictures as convolutions: exact but for the rounding of float32.

    Args:
        model: Of any precision; it stays as it is.
    """
    index = index_graph(model)
    written = onnx.ModelProto()
    written.CopyFrom(model)
    del written.graph.node[:]
    for node in index.nodes:
        channels = _few_channels(node, index)
        kernel = _pooling_kernel(node, channels) if channels else None
        phases = None
        if kernel is None and channels:
            kernel, phases = _resizing_kernel(node, channels, index)
        if kernel is None:
            written.graph.node.append(node)
            continue
        name = f"{node.name}.kernel"
        written.graph.initializer.append(numpy_helper.from_array(kernel, name))
        made = node.output[0] if phases is None else f"{node.output[0]}.phases"
        size = kernel.shape[2:]
        written.graph.node.append(
            helper.make_node(
                "Conv", [node.input[0], name], [made], f"{node.name}.conv", kernel_shape=size, strides=size
            )
        )
        if phases is not None:
            written.graph.node.append(
                helper.make_node("DepthToSpace", [made], list(node.output), node.name, blocksize=phases, mode="CRD")
            )
    return written


def _few_channels(node: NodeProto, index: GraphIndex) -> int | None:
    """Returns how many channels a node takes where they are as few as a picture's."""
    shape = index.shapes.get(node.input[0], ()) if node.input else ()
    return shape[1] if len(shape) == 4 and shape[1] and shape[1] <= _FEW_CHANNELS else None


def _pooling_kernel(node: NodeProto, channels: int) -> NDArray[np.float32] | None:
    """Returns the convolution kernel that averages as a node does, None for other nodes and overlapping windows."""
    if node.op_type != "AveragePool":
        return None
    attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    size = attributes["kernel_shape"]
    if any(attributes.get("pads", [])) or attributes.get("ceil_mode") or attributes.get("strides") != size:
        return None
    height, width = size
    return _each_channel(np.full((1, height, width), 1 / (height * width)), channels)


def _resizing_kernel(
    node: NodeProto, channels: int, index: GraphIndex
) -> tuple[NDArray[np.float32] | None, int | None]:
    """Returns the kernel that shrinks bilinearly as a node does, and its new pixels a step and axis; None for others.

    Where the ratio is a fraction, say 7 to 4, every 7 x 7 pixels give 4 x 4 new ones by the same weights.
    """
    if node.op_type != "Resize":
        return None, None
    attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    plain = attributes.get("mode") == b"linear" and not attributes.get("antialias")
    before, after = index.shapes.get(node.input[0], ()), index.shapes.get(node.output[0], ())
    if not plain or attributes.get("coordinate_transformation_mode", b"half_pixel") != b"half_pixel":
        return None, None
    ways = {_phase_weights(*lengths) for lengths in zip(before[2:], after[2:], strict=False)}
    weights = ways.pop() if len(ways) == 1 else None
    if weights is None:
        return None, None
    rows = np.array(weights)
    phases = np.einsum("yv,xw->yxvw", rows, rows).reshape(-1, rows.shape[1], rows.shape[1])
    return _each_channel(phases, channels), len(rows)


def _phase_weights(before: int | None, after: int | None) -> tuple[tuple[float, ...], ...] | None:
    """Returns, for each new pixel of a step, the weights of the old ones; None where other steps' pixels count too."""
    if not before or not after:
        return None
    step, new = before // math.gcd(before, after), after // math.gcd(before, after)
    rows = np.zeros((new, step))
    for phase in range(new):
        # The centre of the new pixel among the centres of the old ones.
        place = (phase + 0.5) * step / new - 0.5
        first = math.floor(place)
        if first < 0 or first + 1 >= step:
            return None
        rows[phase, first : first + 2] = 1 - (place - first), place - first
    return tuple(tuple(row) for row in rows.tolist())


def _each_channel(kernels: NDArray[np.float64], channels: int) -> NDArray[np.float32]:
    """Returns (channels * K) x channels x h x w: each of the K kernels on each channel alone, channel by channel."""
    count, height, width = kernels.shape
    spread = np.zeros((channels, count, channels, height, width), np.float32)
    for channel in range(channels):
        spread[channel, :, channel] = kernels
    return spread.reshape(channels * count, channels, height, width)
