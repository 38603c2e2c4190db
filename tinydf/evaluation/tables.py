"""Evaluation -> tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tinydf.evaluation.perturbations import KINDS
from tinydf.evaluation.result import Evaluation, SliceResult, matrix, set_name
from tinydf.metrics import METRICS, Estimate

METRIC_WORDS = {
    "auc": "AUC",
    "eer": "EER",
    "average_precision": "AP",
    "accuracy": "accuracy at the threshold",
    "tpr_at_fpr_10": "TPR at 10 % FPR",
    "tpr_at_fpr_5": "TPR at 5 % FPR",
    "tpr_at_fpr_1": "TPR at 1 % FPR",
    "apcer": "APCER, fakes passing as real",
    "bpcer": "BPCER, reals taken for fake",
    "ece": "ECE",
}
"""Metric -> how people call it."""


def show_evaluation(one: Evaluation, console: Console) -> None:
    """Prints one model on one set: notes, metrics, slices, the ladder."""
    model = one.model
    head = f"{Path(model.path).name} on {set_name(one.data)}, split {one.data.split}"
    console.print(Text(head, style="bold"), soft_wrap=True)
    facts = f"{model.engine} on {model.device} · threshold {model.threshold:g} · temperature {model.temperature:g}"
    console.print(Text(f"  {facts} · {_counted(one.whole)}", style="dim"), soft_wrap=True)
    for note in one.notes:
        console.print(Text(f"  {note}", style="yellow"), soft_wrap=True)
    console.print(_metrics(one))
    console.print(_verdicts(one))
    if one.slices:
        console.print(_slices(one))
    worst = one.worst_method()
    if worst is not None:
        console.print(f"  APCER of the worst method: {show(worst.videos['apcer'])} ({worst.name})", soft_wrap=True)
    if one.robustness:
        console.print(_ladder(one))


def show_matrix(evaluations: Sequence[Evaluation], console: Console) -> None:
    """Prints the AUC by video of every model on every set."""
    models, _, values = matrix(evaluations)
    sets = list(dict.fromkeys(one.data for one in evaluations))
    table = Table(title="AUC by video", box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("model")
    for data in sets:
        table.add_column(set_name(data), justify="right")
    for model, row in zip(models, values, strict=True):
        table.add_row(Path(model).name, *(show(value) for value in row))
    console.print(table)


def show(estimate: Estimate | None) -> str:
    """Returns a figure with its interval, or a dash."""
    return "-" if estimate is None else f"{estimate.value:.3f} ({estimate.low:.3f}-{estimate.high:.3f})"


def _counted(one: SliceResult) -> str:
    counts = one.counts
    return (
        f"{counts.real_videos} real and {counts.fake_videos} fake videos or photos, "
        f"{counts.real_faces + counts.fake_faces} faces"
    )


def _metrics(one: Evaluation) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("metric", no_wrap=True)
    table.add_column("by video", justify="right", no_wrap=True)
    if not one.one_face_each():
        table.add_column("by frame", justify="right", no_wrap=True)
    for name in METRICS:
        levels = (one.whole.videos,) if one.one_face_each() else (one.whole.videos, one.whole.frames)
        table.add_row(METRIC_WORDS[name], *(show(level[name]) for level in levels))
    return table


def _verdicts(one: Evaluation) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("verdicts of tinydf-run", "fake", "inconclusive", "real"):
        table.add_column(heading, justify="left" if len(table.columns) == 0 else "right", no_wrap=True)
    for words, counts in (("real videos", one.whole.real_verdicts), ("forged videos", one.whole.fake_verdicts)):
        shares = counts.shares()
        table.add_row(words, *(["-"] * 3 if shares is None else [f"{share:.1%}" for share in shares.values()]))
    return table


def _slices(one: Evaluation) -> Table:
    starred = any(group.note for group in one.slices)
    caption = "* one class alone, or few originals and so a wide interval" if starred else None
    table = Table(box=box.SIMPLE_HEAD, caption=caption, caption_justify="left", pad_edge=False)
    # Eighty columns are what a pipe or a small terminal has.
    table.add_column("slice", min_width=14)
    headings = ("real", "fake", "AUC by video", "APCER", "BPCER")
    for heading in headings if one.one_face_each() else (*headings, "frames"):
        table.add_column(heading, justify="right", no_wrap=True)
    kind = ""
    for group in one.slices:
        if group.kind != kind:
            kind = group.kind
            table.add_row(Text(f"by {kind}", style="bold"))
        videos = group.videos
        cells = [
            *(str(count) for count in (group.counts.real_videos, group.counts.fake_videos)),
            f"{show(videos['auc'])}{'*' if group.note else ' '}",
            *("-" if rate is None else f"{rate.value:.3f}" for rate in (videos["apcer"], videos["bpcer"])),
        ]
        if not one.one_face_each():
            frames = group.frames["auc"]
            cells.append("-" if frames is None else f"{frames.value:.3f}")
        table.add_row(Text(group.name), *cells)
    return table


def _ladder(one: Evaluation) -> Table:
    title = f"AUC by video under perturbation; unchanged {show(one.robustness[0].auc)}"
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("level", no_wrap=True)
    for level in range(1, 6):
        table.add_column(f"{level}", justify="right", no_wrap=True)
    table.add_column("parameters")
    for kind, facts in KINDS.items():
        rungs = [rung for rung in one.robustness if rung.kind == kind]
        if rungs:
            values = ["-" if rung.auc is None else f"{rung.auc.value:.3f}" for rung in rungs]
            table.add_row(kind, *values, f"{facts.unit} {' '.join(f'{rung.parameter:g}' for rung in rungs)}")
    return table
