"""Scores and figures -> plots as SVG, to stand in a page.

Their colours are the page's: each is drawn in a stand-in that becomes a CSS variable, so that light, dark and print
need no second drawing. Text stays text.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import nan

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import roc_curve

from tinydf.evaluation.result import Rung
from tinydf.metrics import reliability
from tinydf_runtime.render.plot_style import ACCENT, GRID, INK, MUTED, NO_METADATA, STYLE, VARIABLES, inline_svg

REAL, FAKE, PAPER = "#000005", "#000006", "#000007"
COLOURS = {**VARIABLES, REAL: "real", FAKE: "fake", PAPER: "paper"}
SIZE_INCHES = (4.2, 3.7)
SMALL_INCHES = (2.9, 2.1)
HISTOGRAM_BINS = 24
LARGEST_DOT = 260
"""Area, in points, of the dot of a bin that holds half of all probabilities."""


def draw_roc(
    by_video: tuple[NDArray[np.float64], NDArray[np.bool_]],
    by_frame: tuple[NDArray[np.float64], NDArray[np.bool_]] | None,
    operating_point: tuple[float, float],
    name: str,
) -> str:
    """Returns an SVG of the ROC curves by video and by frame, with the point that the model's threshold chooses.

    Args:
        by_video: N logits and N truths of the videos, both classes among them.
        by_frame: The same of the faces; None where every video is one face.
        operating_point: BPCER and APCER of the videos.
        name: Unique in the page.
    """
    with _figure(SIZE_INCHES) as (figure, axes):
        axes.plot((0, 1), (0, 1), color=GRID, linewidth=1)
        if by_frame is not None:
            fpr, tpr, _ = roc_curve(by_frame[1], by_frame[0])
            axes.plot(fpr, tpr, color=MUTED, linestyle="--", linewidth=1.2, label="by frame")
        fpr, tpr, _ = roc_curve(by_video[1], by_video[0])
        axes.plot(fpr, tpr, color=ACCENT, linewidth=2, label="by video")
        bpcer, apcer = operating_point
        axes.plot(bpcer, 1 - apcer, "o", color=ACCENT, markeredgecolor=PAPER, markersize=8, label="at the threshold")
        axes.set(xlabel="real ones taken for fake", ylabel="fakes found", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        axes.set_title("ROC")
        axes.legend(loc="lower right")
        return _to_svg(figure, name, "ROC curves by video and by frame")


def draw_scores(logit: NDArray[np.float64], forged: NDArray[np.bool_], threshold: float, name: str) -> str:
    """Returns an SVG: histograms of the probabilities of real and of fake videos, each class on its own scale.

    Args:
        logit: N, of the videos.
        forged: N, whether each is a fake.
        threshold: Fake probability, 0..1, drawn as a line.
        name: Unique in the page.
    """
    with _figure(SIZE_INCHES) as (figure, axes):
        bins = np.linspace(0, 1, HISTOGRAM_BINS + 1)
        for side, colour, label in ((False, REAL, "real"), (True, FAKE, "fake")):
            probability = 1 / (1 + np.exp(-logit[forged == side]))
            if len(probability):
                share = np.histogram(probability, bins)[0] / len(probability)
                axes.stairs(share, bins, fill=True, color=colour, alpha=0.25)
                axes.stairs(share, bins, color=colour, linewidth=1.8, label=f"{label}, {len(probability)}")
        axes.axvline(threshold, color=INK, linewidth=1, linestyle=":", label=f"threshold {threshold:g}")
        axes.set(xlabel="fake probability of a video", ylabel="share of its class", xlim=(0, 1))
        axes.set_title("Scores")
        # Room for the legend above the bars.
        axes.set_ylim(0, 1.45 * axes.get_ylim()[1])
        axes.legend(loc="upper center", ncols=2)
        return _to_svg(figure, name, "Histograms of the fake probabilities of real and fake videos")


def draw_reliability(logit: NDArray[np.float64], forged: NDArray[np.bool_], name: str) -> str:
    """Returns an SVG reliability diagram, both classes weighing alike; larger dots stand for more faces."""
    share, forged_share, probability = reliability(logit, forged)
    filled = share > 0
    with _figure(SIZE_INCHES) as (figure, axes):
        axes.plot((0, 1), (0, 1), color=GRID, linewidth=1.2)
        axes.plot(probability[filled], forged_share[filled], color=ACCENT, linewidth=1, alpha=0.5)
        axes.scatter(
            probability[filled], forged_share[filled], 2 * LARGEST_DOT * share[filled] + 6, ACCENT, edgecolors=PAPER
        )
        axes.set(xlabel="fake probability of a frame", ylabel="share that is fake", xlim=(-0.02, 1.02))
        axes.set_ylim(-0.04, 1.04)
        axes.set_title("Reliability")
        return _to_svg(figure, name, "Reliability: share of fakes by probability")


def draw_ladder(rungs: Sequence[Rung], unchanged: Rung, lowest: float, name: str) -> str:
    """Draws how the AUC falls with the level of one perturbation, beginning with the unchanged pictures.

    Args:
        rungs: One kind's, the mildest first.
        unchanged: What they begin with.
        lowest: Where the scale begins, the same for all kinds.
        name: Unique in the page.
    """
    steps = (unchanged, *rungs)
    places = np.arange(len(steps))
    values = [(nan, nan, nan) if s.auc is None else (s.auc.value, s.auc.low, s.auc.high) for s in steps]
    middle, low, high = np.array(values).T
    with _figure(SMALL_INCHES) as (figure, axes):
        axes.axhline(0.5, color=MUTED, linewidth=0.8, linestyle=":")
        axes.fill_between(places, low, high, color=ACCENT, alpha=0.15, linewidth=0)
        axes.plot(places, middle, "o-", color=ACCENT, markersize=4, linewidth=1.8)
        axes.set_xticks(places, ["-", *(f"{rung.parameter:g}" for rung in rungs)])
        axes.set(ylim=(lowest, 1.0), xlabel=rungs[0].unit)
        axes.set_title(rungs[0].kind)
        return _to_svg(figure, name, f"AUC under {rungs[0].kind}")


@contextmanager
def _figure(size_inches: tuple[float, float]) -> Iterator[tuple[Figure, Axes]]:
    with matplotlib.rc_context({**STYLE, "lines.solid_capstyle": "round"}):  # type: ignore[dict-item]
        figure = Figure(size_inches, layout="constrained")
        yield figure, figure.add_subplot()


def _to_svg(figure: Figure, name: str, label: str) -> str:
    """Returns the drawing as a part of the page, under a name that is unique in it."""
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", transparent=True, metadata=NO_METADATA)
    return inline_svg(buffer.getvalue(), name, label, COLOURS)
