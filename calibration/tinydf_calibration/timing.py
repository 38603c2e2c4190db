"""Model -> milliseconds of each of its nodes in ONNX Runtime, on one thread."""

from __future__ import annotations

import json
import re
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from tinydf_calibration.fusion_groups import FusionGroup
from tinydf_calibration.scores import as_inputs, open_session

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
    """Returns the milliseconds of each group.

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
