"""Validations of a training run -> ``history.csv`` and a picture of it, both rewritten whole each time."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from tinydf_runtime.io.files import write_atomically

CSV_NAME = "history.csv"
PICTURE_NAME = "history.svg"


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One validation.

    Attributes:
        step: Optimiser steps taken.
        hours: Time trained, over all sessions of the run.
        learning_rate: At this step.
        loss: Mean training loss since the row before.
        auc: Of the averaged weights in evaluation mode, over all validation pairs: what counts.
        auc_apart: Of the trained weights in training mode, with no forgery in one batch with its original.
        auc_together: The same with twins in one batch. Where it exceeds ``auc_apart`` the network compares twins.
    """

    step: int
    hours: float
    learning_rate: float
    loss: float
    auc: float
    auc_apart: float
    auc_together: float


def read_history(folder: Path) -> list[HistoryRow]:
    """Reads the rows of a run; none where it has no history yet."""
    path = folder / CSV_NAME
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as lines:
        return [
            HistoryRow(step=int(row["step"]), **{name: float(row[name]) for name in _float_names()})
            for row in csv.DictReader(lines)
        ]


def write_history(folder: Path, rows: list[HistoryRow]) -> None:
    """Writes the table and its picture.

    Raises:
        OutputError: A file cannot be written.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(HistoryRow)])
    writer.writeheader()
    for row in rows:
        writer.writerow({name: round(value, 6) for name, value in asdict(row).items()})
    write_atomically(folder / CSV_NAME, text.getvalue().encode())
    write_atomically(folder / PICTURE_NAME, _picture(rows))


def _float_names() -> list[str]:
    return [field.name for field in fields(HistoryRow) if field.name != "step"]


def _picture(rows: list[HistoryRow]) -> bytes:
    """Returns loss and AUCs over steps as SVG."""
    from matplotlib.figure import Figure  # Slow to load, and only needed once a validation.

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    above, below = figure.subplots(2, sharex=True, height_ratios=(1, 2))
    steps = [row.step for row in rows]
    above.plot(steps, [row.loss for row in rows], marker=".", color="tab:grey")
    above.set_ylabel("training loss")
    below.plot(steps, [row.auc for row in rows], marker="o", label="averaged weights, evaluation mode")
    below.plot(steps, [row.auc_apart for row in rows], "--", label="training mode, twins apart")
    below.plot(steps, [row.auc_together for row in rows], ":", label="training mode, twins together")
    below.set_ylabel("validation AUC")
    below.set_xlabel("step")
    below.legend(loc="lower right", fontsize="small")
    for axes in (above, below):
        axes.grid(alpha=0.3)
    content = io.BytesIO()
    figure.savefig(content, format="svg")
    return content.getvalue()
