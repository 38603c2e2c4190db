"""Rounding of a convolution's weights shifts the mean of its outputs -> the bias correction that undoes it.

Nagel et al., "Data-free quantization through weight equalization and bias correction" (ICCV 2019), with the means of
the inputs measured on crops instead of guessed from batch norms.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from tinydf_calibration.graph import attribute, convolutions, index_graph
from tinydf_calibration.moments import ChannelFacts
from tinydf_calibration.rounding import moves_of
from tinydf_calibration.scales import per_channel, quantize_weight
from tinydf_calibration.table import CalibrationTable


def find_bias_shifts(
    model: ModelProto, layers: Collection[str], facts: Mapping[str, ChannelFacts], table: CalibrationTable
) -> dict[str, tuple[float, ...]]:
    """Returns for each convolution what to add to its bias.

    Args:
        model: Float graph, with channel scales applied.
        layers: Names of the nodes that are put to 8 bit.
        facts: Of the convolutions' inputs.
        table: Says how the weights are rounded.
    """
    index = index_graph(model)
    shifts = {}
    for node in convolutions(index, layers):
        if node.input[0] in facts:
            mean = facts[node.input[0]].mean
            weight = index.constant(node.input[1]).astype(np.float32)
            stored, scales = quantize_weight(weight, moves=moves_of(table, node.name, weight.shape))
            error = weight - stored * per_channel(scales, weight)
            shift = _shift(error, mean, int(str(attribute(node, "group", 1))))
            # Six digits are as good as float32 has here, and half as long in the table.
            shifts[node.name] = tuple(float(f"{value:.6g}") for value in shift)
    return shifts


def _shift(error: NDArray[np.float32], mean: NDArray[np.float64], groups: int) -> NDArray[np.float64]:
    """Returns O: the mean output of the rounding error, which is missing from the quantised output.

    Args:
        error: What rounding took from the weight, O x I x ..., I being the channels of one group.
        mean: groups * I.
        groups: Of the convolution.
    """
    taps = error.reshape(*error.shape[:2], -1).sum(axis=2, dtype=np.float64)
    means = mean.reshape(groups, -1).repeat(len(error) // groups, axis=0)
    return np.asarray((taps * means).sum(axis=1))
