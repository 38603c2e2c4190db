"""Evaluations -> one HTML page that needs nothing else: no network, no script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from tinydf.evaluation.evaluate import forged_videos
from tinydf.evaluation.perturbations import KINDS
from tinydf.evaluation.plots import draw_ladder, draw_reliability, draw_roc, draw_scores
from tinydf.evaluation.result import Evaluation, Settings, matrix, set_name
from tinydf.evaluation.tables import METRIC_WORDS
from tinydf.evaluation.videos import RULE
from tinydf.metrics import ECE_BINS, FEW_CLUSTERS, METRICS, RESAMPLINGS
from tinydf_runtime import __version__
from tinydf_runtime.render.words import EVIDENCE_NOTE

TEMPLATE = "page.html.jinja"
LOWEST_AUC = 0.4
"""Where the ladder's plots begin, unless something lies below."""


@dataclass(frozen=True, slots=True)
class Section:
    """One evaluation as the page shows it.

    Attributes:
        key: Unique in the page.
        title: Model and set.
        result: The figures.
        plots: SVG drawings of the scores.
        ladder: SVG drawings, one a perturbation.
    """

    key: str
    title: str
    result: Evaluation
    plots: tuple[Markup, ...]
    ladder: tuple[Markup, ...]


def render_page(evaluations: Sequence[Evaluation], settings: Settings) -> str:
    """Returns the page: tables, plots, what was measured on what, and what the figures do not say."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    models, _, values = matrix(evaluations)
    return environment.get_template(TEMPLATE).render(
        sections=[_section(number, one) for number, one in enumerate(evaluations, 1)],
        models=[Path(model).name for model in models],
        sets=list(dict.fromkeys(set_name(one.data) for one in evaluations)),
        matrix=values,
        settings=settings,
        version=__version__,
        metrics=METRICS,
        words=METRIC_WORDS,
        kinds=KINDS,
        rule=RULE,
        resamplings=RESAMPLINGS,
        few=FEW_CLUSTERS,
        ece_bins=ECE_BINS,
        evidence_note=EVIDENCE_NOTE,
        any_made=any(one.data.made_by_code for one in evaluations),
        any_ladder=any(one.robustness for one in evaluations),
    )


def _section(number: int, one: Evaluation) -> Section:
    key = f"e{number}"
    title = f"{Path(one.model.path).name} on {set_name(one.data)}"
    return Section(key, title, one, tuple(_plots(key, one)), tuple(_ladder(key, one)))


def _plots(key: str, one: Evaluation) -> list[Markup]:
    scored = one.scored
    judged = one.judged.logit
    answered, forged = ~np.isnan(judged), forged_videos(scored)
    by_video = judged[answered], forged[answered]
    by_frame = scored.logit[:, 0], forged[scored.video]
    bpcer, apcer = one.whole.videos["bpcer"], one.whole.videos["apcer"]
    drawn = []
    if bpcer is not None and apcer is not None:
        drawn.append(
            draw_roc(by_video, None if one.one_face_each() else by_frame, (bpcer.value, apcer.value), f"{key}-roc")
        )
    drawn.append(draw_scores(*by_video, one.model.threshold, f"{key}-scores"))
    if one.whole.frames["ece"] is not None:
        drawn.append(draw_reliability(*by_frame, f"{key}-reliability"))
    return [Markup(svg) for svg in drawn]


def _ladder(key: str, one: Evaluation) -> list[Markup]:
    lows = [rung.auc.low for rung in one.robustness if rung.auc is not None]
    if not lows:
        return []
    lowest = min(LOWEST_AUC, np.floor(min(lows) * 10) / 10)
    drawn = []
    for place, kind in enumerate(KINDS):
        rungs = [rung for rung in one.robustness if rung.kind == kind]
        if rungs:
            drawn.append(draw_ladder(rungs, one.robustness[0], lowest, f"{key}-ladder{place}"))
    return [Markup(svg) for svg in drawn]
