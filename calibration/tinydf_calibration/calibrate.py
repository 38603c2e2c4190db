"""Float graph + crops -> calibration table, in six steps from top to bottom."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from onnx import ModelProto

from tinydf_calibration.agreement import Agreement, Bounds
from tinydf_calibration.bias_correction import find_bias_shifts
from tinydf_calibration.candidates import Judge, as_figures, cost, distinct_schemes, open_judge
from tinydf_calibration.equalise import Stream, apply_channel_scales, find_channel_scales, find_streams
from tinydf_calibration.fusion_groups import find_fusion_groups
from tinydf_calibration.graph import convolutions, index_graph
from tinydf_calibration.moments import observe_channels, observe_moments
from tinydf_calibration.quantize import quantizable_layers, quantizable_tensors
from tinydf_calibration.range_methods import choose_ranges
from tinydf_calibration.ranges import Observed, observe
from tinydf_calibration.rounding import encode_moves, find_moves
from tinydf_calibration.sampler import LabelledCrops, hash_crops
from tinydf_calibration.schemes import QDQ_SCHEMES
from tinydf_calibration.search import find_float_groups, order_by_noise
from tinydf_calibration.sensitivity import GroupSensitivity, measure_sensitivity
from tinydf_calibration.table import METHODS, CalibrationTable, graph_hash
from tinydf_runtime.types import OnStage

TRIAL_CROPS = 200
"""Validation crops that methods and fixes are compared on; the outcome is measured on all."""
SENSITIVITY_CROPS = 48
WORTHWHILE = 0.97
"""A fix is kept where it brings the cost below this share: less is chance."""


@dataclass(frozen=True, slots=True)
class Keys:
    """What a table is valid for, beside its graph.

    Attributes:
        checkpoint_sha256: Of the checkpoint file.
        crop_sha256: Of the crop config.
        threshold: Probability from which a face counts as fake.
    """

    checkpoint_sha256: str
    crop_sha256: str
    threshold: float


@dataclass(frozen=True, slots=True)
class Step:
    """A table after some of the steps, with what it was measured to cost.

    Attributes:
        table: To be improved.
        found: By Q/DQ scheme, on the trial crops.
        observed: What the activations of the table's graph hold.
    """

    table: CalibrationTable
    found: dict[str, Agreement]
    observed: dict[str, Observed]


def calibrate(
    model: ModelProto,
    sample: LabelledCrops,
    validation: LabelledCrops,
    keys: Keys,
    bounds: Bounds,
    report: OnStage = lambda stage, done, total: None,
) -> CalibrationTable:
    """Chooses ranges, corrections and the layers that stay in float, and measures the result.

    Args:
        model: Prepared float graph.
        sample: Crops that ranges are collected from.
        validation: Other crops, of other people, that every choice is judged on.
        keys: Hashes stored in the table.
        bounds: What the quantised network shall keep to.
        report: Told the stage and how far it is.
    """
    report("float network on validation crops", 0, 1)
    whole = open_judge(model, validation, keys.threshold)
    trial = whole.narrow(TRIAL_CROPS)
    step, methods = _choose_method(model, sample, trial, keys, report)
    step, equalisation = _equalise(model, sample, trial, step, report)
    step, rounding = _round_weights(model, sample, trial, step, report)
    step, correction = _correct_biases(model, sample, trial, step, report)
    measured = _measure_groups(model, trial.narrow(SENSITIVITY_CROPS), step.table, report)
    table, tries = _keep_in_float(whole, step.table, measured, bounds, report)
    final = tries[-1][1]
    return replace(
        table,
        measured={
            "bounds": asdict(bounds),
            "crops": {"calibration": len(sample), "validation": len(validation), "trial": len(trial.crops)},
            "methods": methods,
            "equalisation": equalisation,
            "rounding": rounding,
            "bias_correction": correction,
            "search": [{"float_units": len(groups), "dialects": as_figures(found)} for groups, found in tries[:-1]],
            "agreement": as_figures(final),
            "bounds_kept": {name: one.keeps_to(bounds) for name, one in final.items()},
            "sensitivity": [one.to_dict() for one in measured],
        },
    )


def _choose_method(
    model: ModelProto, sample: LabelledCrops, trial: Judge, keys: Keys, report: OnStage
) -> tuple[Step, dict[str, Any]]:
    """Returns the best of the methods, and what each was found to cost."""
    tensors = quantizable_tensors(model)
    observed = observe(model, tensors, sample.crops, lambda done, total: report("ranges", done, total))
    empty = CalibrationTable(
        keys.checkpoint_sha256, graph_hash(model), keys.crop_sha256, hash_crops(sample.crops), len(sample), "", {}
    )
    steps = {}
    for done, method in enumerate(METHODS):
        report("methods", done, len(METHODS))
        table = replace(empty, method=method, ranges=choose_ranges(observed, method))
        steps[method] = Step(table, trial.judge_all(table, distinct_schemes()), observed)
    best = min(METHODS, key=lambda method: cost(steps[method].found))
    return steps[best], {
        method: {"cost": cost(step.found), "dialects": as_figures(step.found)} for method, step in steps.items()
    }


def _equalise(
    model: ModelProto, sample: LabelledCrops, trial: Judge, step: Step, report: OnStage
) -> tuple[Step, dict[str, Any]]:
    """Returns the step with channel scales where they make it better."""
    streams = find_streams(model, quantizable_layers(model))
    if not streams:
        return step, {"kept": False, "streams": 0}
    report("equalisation", 0, 1)
    tensors = _tensors_of(streams)
    scales = find_channel_scales(model, streams, observe_channels(model, tensors, sample.crops))
    scaled = apply_channel_scales(model, scales)
    observed = step.observed | observe(
        scaled,
        [name for name in tensors if name in step.observed],
        sample.crops,
        lambda done, total: report("equalisation", done, total),
    )
    table = replace(step.table, channel_scales=scales, ranges=choose_ranges(observed, step.table.method))
    return _better(step, Step(table, trial.judge_all(table, distinct_schemes()), observed), {"streams": len(streams)})


def _round_weights(
    model: ModelProto, sample: LabelledCrops, trial: Judge, step: Step, report: OnStage
) -> tuple[Step, dict[str, Any]]:
    """Returns the step with weights rounded together instead of one by one, where that makes it better."""
    scaled = apply_channel_scales(model, step.table.channel_scales)
    layers = quantizable_layers(scaled)
    moments = observe_moments(scaled, layers, sample.crops, lambda done, total: report("rounding", done, total))
    moves = find_moves(scaled, layers, moments, lambda done, total: report("rounding", done, total))
    table = replace(step.table, weight_moves={name: encode_moves(one) for name, one in moves.items()})
    weights, moved = (sum(count(one) for one in moves.values()) for count in (np.size, np.count_nonzero))
    facts = {"weights": int(weights), "moved": int(moved)}
    return _better(step, Step(table, trial.judge_all(table, distinct_schemes()), step.observed), facts)


def _correct_biases(
    model: ModelProto, sample: LabelledCrops, trial: Judge, step: Step, report: OnStage
) -> tuple[Step, dict[str, Any]]:
    """Returns the step with shifts of biases where they make it better."""
    report("bias correction", 0, 1)
    scaled = apply_channel_scales(model, step.table.channel_scales)
    layers = quantizable_layers(scaled)
    inputs = dict.fromkeys(node.input[0] for node in convolutions(index_graph(scaled), layers))
    facts = observe_channels(scaled, list(inputs), sample.crops)
    shifts = find_bias_shifts(scaled, layers, facts, step.table)
    table = replace(step.table, bias_shifts=shifts)
    return _better(
        step, Step(table, trial.judge_all(table, distinct_schemes()), step.observed), {"convolutions": len(shifts)}
    )


def _better(before: Step, after: Step, facts: dict[str, Any]) -> tuple[Step, dict[str, Any]]:
    """Returns the fixed step if it costs clearly less, and both costs."""
    costs = cost(before.found), cost(after.found)
    kept = costs[1] < WORTHWHILE * costs[0]
    figures = facts | {"kept": kept, "cost_before": costs[0], "cost_after": costs[1]}
    return (after if kept else before), figures


def _measure_groups(
    model: ModelProto, judge: Judge, table: CalibrationTable, report: OnStage
) -> tuple[GroupSensitivity, ...]:
    scaled = apply_channel_scales(model, table.channel_scales)
    groups = find_fusion_groups(scaled, quantizable_layers(scaled))
    return measure_sensitivity(
        scaled, table, groups, judge.crops, lambda done, total: report("sensitivity", done, total)
    )


def _keep_in_float(
    whole: Judge, table: CalibrationTable, measured: tuple[GroupSensitivity, ...], bounds: Bounds, report: OnStage
) -> tuple[CalibrationTable, list[tuple[tuple[str, ...], dict[str, Agreement]]]]:
    """Returns the table with the fewest layers in float, and every try with what it gave, the returned one last."""
    tries: list[tuple[tuple[str, ...], dict[str, Agreement]]] = []
    nodes = {one.name: one.nodes for one in measured}

    def with_float(groups: tuple[str, ...]) -> CalibrationTable:
        return replace(table, float_layers=tuple(node for name in nodes if name in groups for node in nodes[name]))

    def accepts(groups: tuple[str, ...]) -> bool:
        report("search", len(tries), len(tries) + 1)
        found: dict[str, Agreement] = {}
        # Stops at the first failing scheme, except in the all-INT8 trial, which is reported for every scheme.
        for scheme in QDQ_SCHEMES:
            found[scheme] = whole.judge(with_float(groups), scheme)
            if groups and not found[scheme].keeps_to(bounds):
                break
        tries.append((groups, found))
        return all(one.keeps_to(bounds) for one in found.values())

    kept = find_float_groups(order_by_noise(measured), accepts)
    complete = [one for one in tries if one[0] == kept and len(one[1]) == len(QDQ_SCHEMES)]
    final = complete[-1] if complete else (kept, whole.judge_all(with_float(kept)))
    return with_float(kept), [*(one for one in tries if one is not final), final]


def _tensors_of(streams: tuple[Stream, ...]) -> list[str]:
    return [name for stream in streams for name in stream.tensors]
