"""Crops -> a histogram of each activation, in two passes and bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from tinydf_calibration.scores import as_inputs, open_session
from tinydf_runtime.types import OnProgress

BINS = 2048
"""Bins of a histogram. They must be many more than the 256 levels of 8 bit, else every clip looks as good as none."""
MOMENTUM = 0.02
"""Share of a crop in the moving average of the extremes."""


@dataclass(frozen=True, slots=True)
class Observed:
    """Extremes and histogram of one activation.

    Attributes:
        low: Smallest value of all.
        high: Largest.
        average_low: Moving average, over crops, of the smallest.
        average_high: The same of the largest.
        zeros: How many values are exactly 0. Every scale has a level there, so that they never round.
        counts: ``BINS`` from ``low`` to ``high``: how many other values are in each.
    """

    low: float
    high: float
    average_low: float
    average_high: float
    zeros: int
    counts: NDArray[np.int64]

    def centres(self) -> NDArray[np.float64]:
        """Returns ``BINS`` values: the middle of each bin."""
        width = (self.high - self.low) / len(self.counts)
        return np.asarray(self.low + (np.arange(len(self.counts)) + 0.5) * width)


@dataclass(slots=True)
class _Extremes:
    low: float
    high: float
    average_low: float
    average_high: float

    def widen(self, low: float, high: float) -> None:
        self.low, self.high = min(self.low, low), max(self.high, high)
        self.average_low += MOMENTUM * (low - self.average_low)
        self.average_high += MOMENTUM * (high - self.average_high)


def observe(
    model: ModelProto,
    tensors: Sequence[str],
    crops: NDArray[np.uint8],
    report: OnProgress = lambda done, total: None,
) -> dict[str, Observed]:
    """Runs a float model over crops and collects histograms of some of its activations.

    The first pass finds the extremes, the second fills histograms between them.

    Args:
        model: Float graph.
        tensors: Names of activations.
        crops: N x side x side x 3, RGB, uint8; N is at least 1.
        report: Told how many of the crops' two passes are done.
    """
    session = open_session(model, tensors)
    extremes: dict[str, _Extremes] = {}
    done, total = 0, 2 * len(crops)
    for planes in as_inputs(crops):
        for name, values in zip(tensors, session.run(list(tensors), {"image": planes}), strict=True):
            low, high = float(values.min()), float(values.max())
            if name in extremes:
                extremes[name].widen(low, high)
            else:
                extremes[name] = _Extremes(low, high, low, high)
        done += 1
        report(done, total)
    counts = {name: np.zeros(BINS, np.int64) for name in tensors}
    zeros = dict.fromkeys(tensors, 0)
    for planes in as_inputs(crops):
        for name, values in zip(tensors, session.run(list(tensors), {"image": planes}), strict=True):
            found = extremes[name]
            found_zeros = int(values.size - np.count_nonzero(values))
            zeros[name] += found_zeros
            counts[name] += np.bincount(_bin(values, found.low, found.high), minlength=BINS)
            counts[name][_bin(np.zeros(1, np.float32), found.low, found.high)[0]] -= found_zeros
        done += 1
        report(done, total)
    return {
        name: Observed(one.low, one.high, one.average_low, one.average_high, zeros[name], counts[name])
        for name, one in extremes.items()
    }


def _bin(values: NDArray[np.float32], low: float, high: float) -> NDArray[np.int32]:
    """Returns the bin of each value, those outside in the first or the last."""
    per_unit = np.float32(BINS / (high - low)) if high > low else np.float32(0)
    places = (values.ravel() - np.float32(low)) * per_unit
    return np.asarray(np.clip(places, 0, BINS - 1), np.int32)
