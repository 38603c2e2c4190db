"""Candidate tables -> what each costs in verdicts, in every Q/DQ scheme."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from tinydf_calibration.agreement import Agreement, compare_verdicts
from tinydf_calibration.equalise import apply_channel_scales
from tinydf_calibration.quantize import quantize_model
from tinydf_calibration.sampler import LabelledCrops
from tinydf_calibration.schemes import QDQ_SCHEMES
from tinydf_calibration.scores import score
from tinydf_calibration.table import CalibrationTable

FUSED = "onnxruntime"
"""The scheme that ONNX Runtime computes in 8 bit; the others' pairs are rounded and computed in float."""


@dataclass(frozen=True, slots=True)
class Judge:
    """The float network and the crops that candidates are judged on.

    Attributes:
        model: Float graph, without channel scales.
        crops: Validation crops.
        before: N, their fake probability in float.
        threshold: Probability from which a face counts as fake.
    """

    model: ModelProto
    crops: LabelledCrops
    before: NDArray[np.float64]
    threshold: float

    def narrow(self, count: int) -> Judge:
        """Returns a judge on about ``count`` evenly spaced crops; pairs stay together."""
        clusters = np.unique(self.crops.cluster)
        share = max(1, round(len(clusters) * count / len(self.crops)))
        kept = clusters[np.linspace(0, len(clusters) - 1, min(share, len(clusters))).round().astype(int)]
        places = np.flatnonzero(np.isin(self.crops.cluster, kept))
        return replace(self, crops=self.crops.take(places), before=self.before[places])

    def judge(self, table: CalibrationTable, scheme: str) -> Agreement:
        """Returns how far the network is from float in one Q/DQ scheme."""
        scaled = apply_channel_scales(self.model, table.channel_scales)
        quantized = quantize_model(scaled, table, QDQ_SCHEMES[scheme])
        after = probability(score(quantized, self.crops.crops, fuse=scheme == FUSED))
        return compare_verdicts(self.before, after, self.crops.forged, self.crops.cluster, self.threshold)

    def judge_all(self, table: CalibrationTable, schemes: Iterable[str] = QDQ_SCHEMES) -> dict[str, Agreement]:
        """Returns how far it is from float in each of some schemes."""
        return {scheme: self.judge(table, scheme) for scheme in schemes}


def open_judge(model: ModelProto, crops: LabelledCrops, threshold: float) -> Judge:
    """Scores validation crops with the float network.

    Args:
        model: Float graph.
        crops: Validation crops.
        threshold: Probability from which a face counts as fake.
    """
    return Judge(model, crops, probability(score(model, crops.crops)), threshold)


def cost(found: Mapping[str, Agreement]) -> float:
    """Returns the mean over schemes of mean difference and loss of AUC: smaller is better.

    A gain of AUC counts nothing: 8 bit do not improve a network, a sample of crops does.
    """
    return float(np.mean([one.mean_difference + max(one.auc_drop or 0.0, 0.0) for one in found.values()]))


def distinct_schemes() -> tuple[str, ...]:
    """Returns one name for each way of rounding: schemes may be alike in all but names and how scales are stored."""
    names: dict[Any, str] = {}
    for name, scheme in QDQ_SCHEMES.items():
        names.setdefault(replace(scheme, name="", half_scales=False), name)
    return tuple(names.values())


def as_figures(found: Mapping[str, Agreement]) -> dict[str, Any]:
    """Returns agreements by scheme as JSON has them."""
    return {scheme: one.to_dict() for scheme, one in found.items()}


def probability(logit: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns N probabilities, the sigmoid of N logits, computed by tanh, which never overflows."""
    return np.asarray(0.5 * (1 + np.tanh(logit / 2)))
