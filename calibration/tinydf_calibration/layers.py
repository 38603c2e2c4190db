"""Two forms of one graph on the same crops -> signal-to-noise ratio of each layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, shape_inference

from tinydf_calibration.graph import index_graph
from tinydf_calibration.scores import as_inputs, open_session

SMALLEST_SNR_DB = 10.0
"""Ratio of signal to noise under which a layer counts as bad: a third of its signal is noise."""
_MAP_RANK = 4
_TINY = 1e-30


@dataclass(frozen=True, slots=True)
class LayerDifference:
    """How far one layer is from the same layer of the other graph.

    Attributes:
        node: Its name in the first graph.
        operator: What it computes.
        tensor: What it makes.
        snr_db: Power of the first graph's values over the power of the difference, in decibel; infinite where they
            are equal.
        largest: Largest magnitude of the second graph's values.
        finite: Whether all of the second graph's values are numbers.
    """

    node: str
    operator: str
    tensor: str
    snr_db: float
    largest: float
    finite: bool

    @property
    def good(self) -> bool:
        """Whether it is near enough; what is no number is not."""
        return self.finite and self.snr_db >= SMALLEST_SNR_DB


def compare_layers(first: ModelProto, second: ModelProto, crops: NDArray[np.uint8]) -> tuple[LayerDifference, ...]:
    """Compares every layer that two forms of one graph share, in the order in which they compute.

    Channels that one form scales by powers of two, as equalisation does, are scaled back before they are compared.

    Args:
        first: The form to compare with, such as the float graph. Its nodes need names.
        second: The other form, such as the quantised graph; tensors are matched by name.
        crops: N x side x side x 3, RGB, uint8.

    Returns:
        One difference per tensor that both forms compute in float.
    """
    index = index_graph(first)
    makers = {output: node for node in index.nodes for output in node.output}
    made = {output for node in second.graph.node for output in node.output}
    kinds = _float_tensors(first) & _float_tensors(second)
    names = [name for name in makers if name in made and name in kinds]
    values = [_run(model, names, crops) for model in (first, second)]
    return tuple(
        LayerDifference(makers[name].name, makers[name].op_type, name, *_measure(values[0][name], values[1][name]))
        for name in names
    )


def first_bad(layers: Sequence[LayerDifference]) -> LayerDifference | None:
    """Returns the first layer that is too far from its counterpart, None where all are near."""
    return next((layer for layer in layers if not layer.good), None)


def largest_values(model: ModelProto, names: Sequence[str], crops: NDArray[np.uint8]) -> dict[str, float]:
    """Returns the largest magnitude of some tensors over N x side x side x 3 crops; infinite where one overflowed."""
    found = _run(model, names, crops)
    return {name: float(np.nan_to_num(np.abs(value), nan=np.inf).max(initial=0.0)) for name, value in found.items()}


def _float_tensors(model: ModelProto) -> set[str]:
    """Returns the tensors of a graph that hold fractions, in any precision, as far as their type is known."""
    inferred = shape_inference.infer_shapes(model).graph
    fractions = (TensorProto.FLOAT, TensorProto.FLOAT16)
    values = (*inferred.value_info, *inferred.output)
    return {value.name for value in values if value.type.tensor_type.elem_type in fractions}


def _run(model: ModelProto, names: Sequence[str], crops: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
    """Returns some tensors of a graph, every operator computed as it is written."""
    session = open_session(model, names, fuse=False)
    parts = [session.run(list(names), {"image": planes}) for planes in as_inputs(crops)]
    return {
        name: np.concatenate([np.atleast_1d(part[place]).astype(np.float64) for part in parts])
        for place, name in enumerate(names)
    }


def _measure(expected: NDArray[np.float64], found: NDArray[np.float64]) -> tuple[float, float, bool]:
    finite = bool(np.isfinite(found).all())
    largest = float(np.abs(found).max(initial=0.0))
    if not finite or expected.shape != found.shape:
        return float("-inf"), largest, finite
    noise = float(np.mean((_unscale(found, expected) - expected) ** 2))
    signal = float(np.mean(expected**2))
    ratio = float("inf") if noise <= _TINY * max(signal, 1.0) else 10 * np.log10(max(signal, _TINY) / noise)
    return float(ratio), largest, finite


def _unscale(found: NDArray[np.float64], expected: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divides each channel by the power of two that is nearest to how much larger it is than expected."""
    if expected.ndim != _MAP_RANK:
        return found
    axes = (0, 2, 3)
    power = (expected**2).sum(axes, keepdims=True)
    ratio = np.where(power > _TINY, (found * expected).sum(axes, keepdims=True) / np.maximum(power, _TINY), 1.0)
    return np.asarray(found / np.exp2(np.rint(np.log2(np.where(ratio > 0, ratio, 1.0)))))
