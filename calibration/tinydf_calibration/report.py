"""Calibration table -> figures as JSON, and one HTML page with a plot, that needs neither network nor script."""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tinydf_calibration.table import CalibrationTable
from tinydf_runtime import __version__
from tinydf_runtime.render.plot_style import ACCENT, MUTED, NO_METADATA, STYLE, VARIABLES, inline_svg

SCHEMA = "tinydf.calibrate/1"
TEMPLATE = "report.html.jinja"


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table of agreements.

    Attributes:
        words: What was tried.
        found: Name of a Q/DQ scheme -> figures of an ``Agreement``; a scheme that was not tried is missing.
        chosen: Whether this is what the table holds.
    """

    words: str
    found: Mapping[str, Mapping[str, Any]]
    chosen: bool


def to_json(table: CalibrationTable, path: Path) -> str:
    """Returns the figures of a calibration as one JSON object.

    Args:
        table: The result.
        path: Where it was written.
    """
    values = {
        "schema": SCHEMA,
        "path": str(path),
        "sha256": table.sha256(),
        "checkpoint_sha256": table.checkpoint_sha256,
        "samples": table.samples,
        "method": table.method,
        "float_layers": list(table.float_layers),
        **table.measured,
    }
    return json.dumps(values, indent=2, allow_nan=False) + "\n"


def render_page(table: CalibrationTable, title: str) -> str:
    """Returns the page: what was chosen, what it costs, and what each layer costs.

    Args:
        table: From ``calibrate``.
        title: Names the checkpoint and the faces.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    measured = table.measured
    kept = kept_groups(table)
    return environment.get_template(TEMPLATE).render(
        title=title,
        version=__version__,
        table=table,
        sha256=table.sha256(),
        schemes=list(measured["agreement"]),
        methods=[
            Row(method, tried["dialects"], method == table.method) for method, tried in measured["methods"].items()
        ],
        search=[
            *(Row(_words(tried["float_units"]), tried["dialects"], False) for tried in measured["search"]),
            Row(f"{_words(len(kept))} (chosen)", measured["agreement"], True),
        ],
        measured=measured,
        kept=kept,
        plot=Markup(draw_sensitivity(measured["sensitivity"], kept)),
    )


def kept_groups(table: CalibrationTable) -> tuple[str, ...]:
    """Returns the names of the measured groups that stay in float."""
    layers = set(table.float_layers)
    return tuple(one["name"] for one in table.measured["sensitivity"] if layers.issuperset(one["nodes"]))


def _words(groups: int) -> str:
    return "all layers in 8 bit" if groups == 0 else f"{groups} layer{'s' if groups > 1 else ''} in float"


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
