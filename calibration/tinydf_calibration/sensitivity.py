"""Fusion groups in 8 bit one at a time -> noise at the logit, loss of AUC, and time saved."""

from __future__ import annotations

import json
import re
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from tinydf_calibration.agreement import auc
from tinydf_calibration.fusion_groups import FusionGroup
from tinydf_calibration.quantize import quantizable_layers, quantize_model
from tinydf_calibration.sampler import LabelledCrops
from tinydf_calibration.schemes import QDQ_SCHEMES
from tinydf_calibration.scores import as_inputs, open_session, score
from tinydf_calibration.table import CalibrationTable
from tinydf_runtime.types import OnProgress

SCHEME = replace(QDQ_SCHEMES["onnxruntime"], float_first=0)
"""It puts the most operators to 8 bit, and runs in 8 bit where the measuring is done; here no layer is excepted."""
QUIETEST_DB = 120.0
"""Signal to noise that stands for no noise at all."""


@dataclass(frozen=True, slots=True)
class GroupSensitivity:
    """What one fusion group alone in 8 bit does to the scores, everything else in float.

    Attributes:
        name: Of the group's convolution.
        nodes: Of the group.
        shape: Of the convolution's weights.
        signal_to_noise_db: 10 log10 of the variance of the verdict's logit over the mean square of its change.
        auc_drop: AUC of the float model minus that with the group in 8 bit; None where one class is missing.
        float_ms: Milliseconds that the group takes in the float model, one crop, one thread of this machine.
        int8_ms: The same when all groups are in 8 bit.
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
    groups: Sequence[FusionGroup],
    crops: LabelledCrops,
    report: OnProgress = lambda done, total: None,
) -> tuple[GroupSensitivity, ...]:
    """Quantises one fusion group at a time to 8 bit and measures what that alone costs and saves.

    Args:
        model: Float graph, with the table's channel scales applied.
        table: Ranges; its ``float_layers`` do not count.
        groups: What to measure, in the order of the result.
        crops: Labelled crops to measure on.
        report: Told how many groups are done.
    """
    layers = quantizable_layers(model)
    before = score(model, crops.crops)
    times = _time(model, replace(table, float_layers=()), groups, crops.crops[0])
    found = []
    for done, group in enumerate(groups, start=1):
        alone = replace(table, float_layers=tuple(name for name in layers if name not in group.nodes))
        after = score(quantize_model(model, alone, SCHEME), crops.crops)
        found.append(
            GroupSensitivity(
                group.name,
                group.nodes,
                group.shape,
                signal_to_noise_db(before, after),
                _auc_drop(before, after, crops.forged),
                *times[group.name],
            )
        )
        report(done, len(groups))
    return tuple(found)


def signal_to_noise_db(before: NDArray[np.float64], after: NDArray[np.float64]) -> float:
    """Returns 10 log10 of the variance of N logits over the mean square of their change, within +-``QUIETEST_DB``."""
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
    model: ModelProto, table: CalibrationTable, groups: Sequence[FusionGroup], crop: NDArray[np.uint8]
) -> Mapping[str, tuple[float, float]]:
    in_float = time_groups(time_nodes(model, crop), groups)
    in_8_bit = time_groups(time_nodes(quantize_model(model, table, SCHEME), crop), groups)
    return {group.name: (in_float[group.name], in_8_bit[group.name]) for group in groups}


RUNS = 20
_SUFFIX = "_kernel_time"
_ADDED = re.compile(r"(_nchwc|_token_\d+|_quantize|_dequantize|_float|/duplicated)*$")
"""What ONNX Runtime, and the writing of Q/DQ pairs, put behind the name of a node or tensor that work is done for."""


def time_nodes(model: ModelProto, crop: NDArray[np.uint8]) -> dict[str, float]:
    """Returns the median milliseconds of each node that ONNX Runtime really runs, by its name there.

    Args:
        model: Any precision.
        crop: side x side x 3, RGB, uint8.
    """
    (planes,) = as_inputs(crop[None])
    with tempfile.TemporaryDirectory() as folder:
        session = open_session(model, profile_prefix=str(Path(folder) / "profile"))
        for _ in range(RUNS):
            session.run(None, {"image": planes})
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    spent: dict[str, list[float]] = defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and str(event["name"]).endswith(_SUFFIX):
            spent[str(event["name"]).removesuffix(_SUFFIX)].append(event["dur"] / 1000)
    return {name: float(np.median(values)) for name, values in spent.items()}


def time_groups(nodes: Mapping[str, float], groups: Sequence[FusionGroup]) -> dict[str, float]:
    """Returns group name -> milliseconds of its nodes together.

    Args:
        nodes: From ``time_nodes``.
        groups: Of the float graph.
    """
    owners = {name: group.name for group in groups for name in group.known_as}
    totals = dict.fromkeys((group.name for group in groups), 0.0)
    for name, spent in nodes.items():
        original = _ADDED.sub("", name)
        if original in owners:
            totals[owners[original]] += spent
    return totals
