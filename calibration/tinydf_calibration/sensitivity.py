"""What each layer costs when it alone is put to 8 bit: noise at the verdict, AUC, and the time that 8 bit win."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from tinydf_calibration.agreement import auc
from tinydf_calibration.dialects import DIALECTS
from tinydf_calibration.quantize import quantizable_layers, quantize_model
from tinydf_calibration.sampler import LabelledCrops
from tinydf_calibration.scores import score
from tinydf_calibration.table import CalibrationTable
from tinydf_calibration.timing import time_nodes, time_units
from tinydf_calibration.units import Unit

DIALECT = replace(DIALECTS["onnxruntime"], float_first=0)
"""It puts the most operators to 8 bit, and runs in 8 bit where the measuring is done; here no layer is excepted."""
QUIETEST_DB = 120.0
"""Signal to noise that stands for no noise at all."""

Report = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class UnitSensitivity:
    """One unit alone in 8 bit, everything else in float.

    Attributes:
        name: Of the unit's convolution.
        nodes: Of the unit.
        shape: Of the convolution's weights.
        signal_to_noise_db: 10 log10 of the variance of the verdict's logit over the mean square of its change.
        auc_drop: What was lost; None where one class is missing.
        float_ms: Of the unit in the float model, one crop, one thread of this machine.
        int8_ms: Of the same when all units are in 8 bit.
    """

    name: str
    nodes: tuple[str, ...]
    shape: tuple[int, ...]
    signal_to_noise_db: float
    auc_drop: float | None
    float_ms: float
    int8_ms: float

    def to_dict(self) -> dict[str, Any]:
        """Returns the figures as JSON has them."""
        return asdict(self)


def measure_sensitivity(
    model: ModelProto,
    table: CalibrationTable,
    units: Sequence[Unit],
    crops: LabelledCrops,
    report: Report = lambda done, total: None,
) -> tuple[UnitSensitivity, ...]:
    """Puts one unit after the other to 8 bit.

    Args:
        model: Float graph, with the table's channel scales applied.
        table: Ranges; its ``float_layers`` do not count.
        units: What to measure, in the order of the result.
        crops: To measure on.
        report: Told how many units are done.
    """
    layers = quantizable_layers(model)
    before = score(model, crops.crops)
    times = _time(model, replace(table, float_layers=()), units, crops.crops[0])
    found = []
    for done, unit in enumerate(units, start=1):
        alone = replace(table, float_layers=tuple(name for name in layers if name not in unit.nodes))
        after = score(quantize_model(model, alone, DIALECT), crops.crops)
        found.append(
            UnitSensitivity(
                unit.name,
                unit.nodes,
                unit.shape,
                signal_to_noise_db(before, after),
                _auc_drop(before, after, crops.forged),
                *times[unit.name],
            )
        )
        report(done, len(units))
    return tuple(found)


def signal_to_noise_db(before: NDArray[np.float64], after: NDArray[np.float64]) -> float:
    """Returns how far above its change a logit varies, in decibel, at most ``QUIETEST_DB``."""
    noise = float(np.mean((after - before) ** 2))
    signal = float(np.var(before))
    if not np.isfinite(noise):
        return -QUIETEST_DB
    if noise <= signal * 10 ** (-QUIETEST_DB / 10):
        return QUIETEST_DB
    return float(max(10 * np.log10(max(signal, 1e-30) / noise), -QUIETEST_DB))


def _auc_drop(before: NDArray[np.float64], after: NDArray[np.float64], forged: NDArray[np.bool_]) -> float | None:
    lost, kept = auc(before, forged), auc(after, forged)
    return None if lost is None or kept is None else lost - kept


def _time(
    model: ModelProto, table: CalibrationTable, units: Sequence[Unit], crop: NDArray[np.uint8]
) -> Mapping[str, tuple[float, float]]:
    in_float = time_units(time_nodes(model, crop), units)
    in_8_bit = time_units(time_nodes(quantize_model(model, table, DIALECT), crop), units)
    return {unit.name: (in_float[unit.name], in_8_bit[unit.name]) for unit in units}
