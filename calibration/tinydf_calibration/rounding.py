"""Second moments of a convolution's inputs -> the rounding of its weights that changes its outputs least.

Each weight to its nearest step is not best: inputs are correlated, so that what rounding one weight adds can be taken
away by those that are rounded after it. Frantar et al., "OPTQ: Accurate quantization for generative pre-trained
transformers" (ICLR 2023), from Hassibi and Stork's optimal brain surgeon (NIPS 1992).
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from tinydf_calibration.graph import convolutions, index_graph
from tinydf_calibration.scales import LARGEST_FACTOR, quantize_weight, weight_scales
from tinydf_calibration.table import CalibrationTable
from tinydf_runtime.errors import StaleTableError
from tinydf_runtime.types import OnProgress

DAMPING = 0.01
"""Share of the mean square of the inputs that is added to each, as in the paper: few crops leave directions unseen."""

Values = NDArray[np.float64]


def find_moves(
    model: ModelProto,
    layers: Collection[str],
    moments: Mapping[str, Values],
    report: OnProgress = lambda done, total: None,
) -> dict[str, NDArray[np.int8]]:
    """Returns for each convolution, in its weight's shape, by how many steps to round away from the nearest.

    Args:
        model: Float graph, with channel scales applied.
        layers: Names of the nodes that are put to 8 bit.
        moments: Of ``observe_moments``, on the same graph.
        report: Told how many of the convolutions are done.
    """
    index = index_graph(model)
    nodes = [node for node in convolutions(index, layers) if node.name in moments]
    moves = {}
    for done, node in enumerate(nodes, 1):
        weight = index.constant(node.input[1]).astype(np.float32)
        moves[node.name] = round_together(weight, moments[node.name]) - quantize_weight(weight)[0]
        report(done, len(nodes))
    return moves


def round_together(weight: NDArray[np.float32], moments: Values) -> NDArray[np.int8]:
    """Returns a weight in steps of ``weight_scales``, -64..64, rounded one input after another.

    Args:
        weight: O x ..., float32.
        moments: G x K x K, for each group of channels the mean product of any two of its K inputs.
    """
    groups, inputs, _ = moments.shape
    scales = weight_scales(weight).astype(np.float64).reshape(groups, -1)
    # The inputs that matter most come first, while there are others left to make up for them.
    order = np.argsort(-np.diagonal(moments, axis1=1, axis2=2), axis=1, kind="stable")
    left = np.take_along_axis(weight.astype(np.float64).reshape(groups, -1, inputs), order[:, None], 2)
    spread = _spread(moments, order)
    stored = np.zeros_like(left)
    for at in range(inputs):
        stored[:, :, at] = np.clip(np.rint(left[:, :, at] / scales), -LARGEST_FACTOR, LARGEST_FACTOR)
        error = left[:, :, at] - stored[:, :, at] * scales
        left[:, :, at:] -= error[:, :, None] * spread[:, None, at, at:]
    back = np.argsort(order, axis=1, kind="stable")
    return np.take_along_axis(stored, back[:, None], 2).astype(np.int8).reshape(weight.shape)


def encode_moves(moves: NDArray[np.int8]) -> str:
    """Returns moves, int8 of any shape, as a table stores them: their bytes by zlib, in base64."""
    return base64.b64encode(zlib.compress(moves.tobytes(), 9)).decode()


def moves_of(table: CalibrationTable, conv: str, shape: Sequence[int]) -> NDArray[np.int8] | None:
    """Returns the moves that a table holds for a convolution's weight, None if it has none.

    Args:
        table: Of the convolution's graph.
        conv: Name of the node.
        shape: Of its weight.

    Raises:
        StaleTableError: They are damaged, or those of another shape.
    """
    if conv not in table.weight_moves:
        return None
    size = int(np.prod(shape))
    try:
        # No more than was asked for is unpacked, whatever a stranger's table holds.
        stored = zlib.decompressobj().decompress(base64.b64decode(table.weight_moves[conv], validate=True), size + 1)
    except (zlib.error, binascii.Error, ValueError) as error:
        raise _damaged(conv, f"cannot be unpacked ({error})") from error
    if len(stored) != size:
        raise _damaged(conv, f"is not of {size} weights")
    return np.frombuffer(stored, np.int8).reshape(shape)


def _damaged(conv: str, found: str) -> StaleTableError:
    return StaleTableError(
        f"calibration table: the rounding of {conv} {found}. Calibrate this checkpoint with tinydf-calibrate."
    )


def _spread(moments: Values, order: NDArray[np.intp]) -> Values:
    """Returns G x K x K: what one unit of error of each input takes from those behind it in the given order."""
    means = np.diagonal(moments, axis1=1, axis2=2).mean(1)
    damped = moments + (DAMPING * means + np.finfo(np.float32).tiny)[:, None, None] * np.eye(moments.shape[1])
    sorted_rows = np.take_along_axis(damped, order[:, :, None], 1)
    inverse = np.linalg.inv(np.take_along_axis(sorted_rows, order[:, None, :], 2))
    upper = np.linalg.cholesky(inverse).transpose(0, 2, 1)
    return np.asarray(upper / np.diagonal(upper, axis1=1, axis2=2)[:, :, None])
