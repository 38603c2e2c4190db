"""Float graph + crops -> does float16 hold what its layers make?"""

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
    """What came of looking at every layer that is computed in float16.

    Attributes:
        layers: Layers looked at.
        largest: Largest magnitude that one of them makes.
        layer: Which one that is.
    """

    layers: int
    largest: float
    layer: str


def scan_half(graph: ModelProto, crops: NDArray[np.uint8]) -> HalfScan:
    """Looks for layers whose values float16 cannot hold.

    Args:
        graph: Float graph.
        crops: N x side x side x 3, RGB, uint8.

    Raises:
        QualityError: A layer makes values beyond float16, or none that are numbers.
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
