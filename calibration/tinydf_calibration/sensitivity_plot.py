"""Sensitivity of every layer -> one plot as SVG, in the colours of its page."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tinydf_runtime.render.plot_style import ACCENT, MUTED, NO_METADATA, STYLE, VARIABLES, inline_svg

KEPT = "#000005"
COLOURS = {**VARIABLES, KEPT: "kept"}
INCHES = (11.0, 7.2)
LABEL = "Signal to noise, loss of AUC and milliseconds of each layer"


def draw_sensitivity(measured: Sequence[Mapping[str, Any]], kept: Collection[str]) -> str:
    """Draws signal to noise, loss of AUC and time of each layer, from the image to the verdict.

    Args:
        measured: Of each group what ``GroupSensitivity.to_dict`` gives, in the order of the network.
        kept: Names of the groups that stay in float.
    """
    places = np.arange(1, len(measured) + 1)
    colours = [KEPT if one["name"] in kept else ACCENT for one in measured]
    with matplotlib.rc_context({**STYLE, "axes.grid.axis": "y"}):  # type: ignore[dict-item]
        figure = Figure(INCHES, layout="constrained")
        noise, loss, time = figure.subplots(3, 1, sharex=True, height_ratios=(3, 2, 3))
        noise.bar(places, [one["signal_to_noise_db"] for one in measured], color=colours, width=0.75)
        noise.set_title("Signal to noise at the verdict's logit, this layer alone in 8 bit (higher is better)")
        noise.set_ylabel("dB")
        loss.bar(places, [one["auc_drop"] or 0.0 for one in measured], color=colours, width=0.75)
        loss.axhline(0, color=MUTED, linewidth=0.8)
        loss.set_title("Loss of AUC, this layer alone in 8 bit (on few crops: a hint)")
        _draw_time(time, places, measured, kept)
        time.set_xlim(0.2, len(measured) + 0.8)
        return _to_svg(figure)


def _draw_time(axes: Axes, places: np.ndarray, measured: Sequence[Mapping[str, Any]], kept: Collection[str]) -> None:
    """Draws each layer's time in float as an outline and in 8 bit filled."""
    axes.bar(
        places,
        [one["float_ms"] for one in measured],
        color="none",
        edgecolor=MUTED,
        linewidth=0.8,
        width=0.75,
        label="float",
    )
    eight_bit = [one["name"] not in kept for one in measured]
    times = np.array([one["int8_ms"] for one in measured])
    axes.bar(places, np.where(eight_bit, times, 0), color=ACCENT, width=0.45, label="8 bit")
    if not all(eight_bit):
        axes.bar(places, np.where(eight_bit, 0, times), color=KEPT, width=0.45, label="8 bit, but stays in float")
    axes.legend(loc="lower right", bbox_to_anchor=(1, 0.98), borderaxespad=0, ncols=3)
    axes.set_title("Time in ONNX Runtime, one crop, one thread")
    axes.set(ylabel="ms", xlabel="layer, from the image to the verdict")


def _to_svg(figure: Figure) -> str:
    """Returns the drawing as a part of the page."""
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "sensitivity"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata=NO_METADATA)
    return inline_svg(buffer.getvalue(), "sensitivity", LABEL, COLOURS)
