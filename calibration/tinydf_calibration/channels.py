"""Crops -> statistics of each channel of an activation, for equalisation and bias correction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from tinydf_calibration.scores import as_inputs, open_session


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
