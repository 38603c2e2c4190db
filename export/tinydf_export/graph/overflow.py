"""Float graph + crops -> whether float16 holds every layer's values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from tinydf_calibration.graph import index_graph
from tinydf_calibration.layers import largest_values
from tinydf_export.graph.typed import wide_nodes
from tinydf_runtime.errors import QualityError

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
