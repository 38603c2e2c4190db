"""Calibration table -> figures as JSON, and one HTML page that needs nothing else: no network, no script."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from tinydf_calibration.sensitivity_plot import draw_sensitivity
from tinydf_calibration.table import CalibrationTable
from tinydf_runtime import __version__

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
