"""Rows of a benchmark -> plot of latency against accuracy."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from tinydf_export.bench.row import Row
from tinydf_runtime.errors import UsageError
from tinydf_runtime.io.files import write_atomically


def draw_plot(rows: Sequence[Row], path: Path) -> None:
    """Draws one point per row: milliseconds a face against AUC, or against the difference from the first model.

    Args:
        rows: Those without figures are left out.
        path: File to write; its ending names the format.

    Raises:
        UsageError: No row has figures.
        OutputError: The file cannot be written.
    """
    shown = [row for row in rows if row.p50_ms is not None]
    if not shown:
        raise UsageError(f"{path}: nothing was measured that could be drawn. Name a model whose engine is installed.")
    with_auc = all(row.auc is not None for row in shown)
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for engine in dict.fromkeys(row.engine for row in shown):
        points = [row for row in shown if row.engine == engine]
        across = [(row.p50_ms or 0.0) / row.batch for row in points]
        up = [(row.auc if with_auc else row.mean_difference) or 0.0 for row in points]
        axes.scatter(across, up, label=engine, s=36, zorder=3)
        for row, x, y in zip(points, across, up, strict=True):
            label = f"{row.model} · batch {row.batch} · {row.threads} thr."
            axes.annotate(label, (x, y), xytext=(5, 4), textcoords="offset points", fontsize=7)
    axes.set_xscale("log")
    axes.set_xlabel("median ms a face")
    axes.set_ylabel("AUC" if with_auc else "mean difference in fake probability from the first model")
    axes.margins(0.2)
    axes.grid(which="both", alpha=0.25)
    axes.legend(frameon=False)
    buffer = io.BytesIO()
    # Equal figures give equal bytes: no date, and names of SVG elements that do not depend on chance.
    with mpl.rc_context({"svg.hashsalt": "tinydf"}):
        form = path.suffix.lower().lstrip(".")
        metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(form, {})
        figure.savefig(buffer, format=form, dpi=150, metadata=metadata)
    write_atomically(path, buffer.getvalue())
