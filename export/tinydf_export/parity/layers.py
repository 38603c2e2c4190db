"""Two ONNX exports of one checkpoint -> signal-to-noise ratio of each layer, on golden crops."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import onnx
from rich.table import Table

from tinydf_calibration.layers import LayerDifference, compare_layers, first_bad
from tinydf_export.parity.golden import decode_crops
from tinydf_runtime.engines.loading import load_engine
from tinydf_runtime.errors import ModelFileError, UsageError

CROPS = 2
"""Golden crops that layers are compared on: a wrong layer is wrong on each."""
SHOWN = 12
"""Layers that the table on the terminal lists."""


def compare_files(model: Path, reference: Path) -> tuple[LayerDifference, ...]:
    """Compares the layers of two exports of one checkpoint.

    Args:
        model: ONNX file to examine, such as an INT8 export.
        reference: ONNX file to compare with, such as the float32 export.

    Raises:
        UsageError: A file is no ONNX file, or they were made from different checkpoints.
        ModelFileError: A file is missing or damaged, or holds no golden crops.
    """
    for path in (model, reference):
        if path.suffix.lower() != ".onnx":
            raise UsageError(f"{path}: layers can be compared in .onnx files alone. Export the checkpoint to one.")
    engines = [load_engine(path) for path in (model, reference)]
    hashes = [engine.spec.checkpoint_sha256 for engine in engines]
    if hashes[0] != hashes[1]:
        raise UsageError(
            f"{reference}: was made from checkpoint {hashes[1][:12]}, {model.name} from {hashes[0][:12]}. "
            "Export both from one checkpoint."
        )
    text = engines[0].golden_text
    if text is None:
        raise ModelFileError(f"{model.name}: no golden crops found. Export the model again.")
    crops = decode_crops(text, engines[0].spec, model.name)
    first, second = (onnx.load(path, load_external_data=False) for path in (reference, model))
    return compare_layers(first, second, crops[:CROPS])


def list_layers(layers: Sequence[LayerDifference]) -> list[dict[str, Any]]:
    """Returns the layers as JSON has them; equal ones have no ratio."""
    ratios = [one.snr_db if math.isfinite(one.snr_db) else None for one in layers]
    return [asdict(one) | {"snr_db": ratio, "good": one.good} for one, ratio in zip(layers, ratios, strict=True)]


def layer_table(layers: Sequence[LayerDifference]) -> Table:
    """Returns the noisiest layers, in the order in which they compute, and which bad one comes first."""
    bad = first_bad(layers)
    caption = "no bad layer" if bad is None else f"first bad layer: {bad.node} ({bad.operator})"
    table = Table(title=f"the {SHOWN} noisiest of {len(layers)} layers", caption=caption)
    for heading in ("layer", "computes", "signal to noise, dB", "largest value"):
        table.add_column(heading, justify="left" if heading in ("layer", "computes") else "right")
    noisiest = {one.node for one in sorted(layers, key=lambda one: one.snr_db)[:SHOWN]}
    for one in layers:
        if one.node in noisiest or one is bad:
            table.add_row(one.node, one.operator, f"{one.snr_db:.1f}", f"{one.largest:.3g}")
    return table
