"""Scores of real people in made clips -> what a network's ``ModelSpec`` carries about them.

Run: python scripts/measure_real_people.py SCORES.npz [--store CHECKPOINT] (SCORES.npz by score_made_clips.py). That is
temperature, threshold, the table of ``--fpr``, and how high real people score, in clips and in pictures, from which the
runtime tells how rare a score is and from where it says fake. ``finish_classifier.py --scores`` does the same for what
is shipped. Who gets no verdict is left out, as in use.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import click
import numpy as np
import torch

from scored_clips import Clip, certain_score, read_clips
from tinydf.checkpoint import load_checkpoint, save_checkpoint
from tinydf.evaluation.operating_point import DIGITS, FPR_SHARES
from tinydf.metrics import fit_temperature
from tinydf_runtime.engines.engine import open_engine
from tinydf_runtime.models.shipped import DEFAULT_MODEL
from tinydf_runtime.models.spec import ModelSpec
from tinydf_runtime.verdict.rules import MINIMUM_FACES, DecisionRule, RealScores

THRESHOLD_SHARE = 0.1
"""Share of real people who reach the threshold."""
FEWEST_PEOPLE = 4
"""A share is left out where fewer would reach its threshold: it would be their chance."""


def logits_of(clips: Sequence[Clip], kind: str, spec: ModelSpec) -> list[float]:
    """Returns the logits of the clips of one kind that get a probability."""
    fewest = 1 if kind == "picture" else MINIMUM_FACES
    rule = DecisionRule(spec.threshold, certain_score=certain_score(), minimum_faces=fewest)
    found = (clip.logit(rule) for clip in clips if clip.kind == kind)
    return [logit for logit in found if logit is not None]


def measured_spec(clips: Sequence[Clip], spec: ModelSpec, fit: bool = True) -> ModelSpec:
    """Returns a spec with what the clips say about real people.

    Args:
        clips: As scored with the temperature of ``spec``.
        spec: Of the network that scored them.
        fit: Fit the temperature, where there are forged clips; both classes weigh alike.
    """
    real, forged = logits_of(clips, "real", spec), logits_of(clips, "forged", spec)
    factor = fit_temperature(np.array(real), np.array(forged)) if fit and forged else 1.0
    people = RealScores.of_logits(real).rescaled(1 / factor)
    pictures = logits_of(clips, "picture", spec)
    return replace(
        spec,
        temperature=round(spec.temperature * factor, DIGITS),
        threshold=_probability(people.logit_reached_by(THRESHOLD_SHARE)),
        fpr_thresholds=tuple(
            (share, _probability(people.logit_reached_by(share)))
            for share in FPR_SHARES
            if share * (people.people + 1) >= FEWEST_PEOPLE
        ),
        real_people=people,
        real_pictures=RealScores.of_logits(pictures).rescaled(1 / factor) if pictures else None,
    )


def _probability(logit: float) -> float:
    """Returns a threshold, rounded up, so that no more people reach it than were measured."""
    scale = float(10**DIGITS)
    return math.ceil(scale / (1 + math.exp(-logit))) / scale


@click.command()
@click.argument("scores", type=click.Path(path_type=Path, exists=True))
@click.option("--model", type=click.Path(path_type=Path), default=DEFAULT_MODEL, help="What scored them.")
@click.option("--split", default="val", show_default=True, help="People to measure.")
@click.option("--store", type=click.Path(path_type=Path), help="Checkpoint to write it to, whose weights scored them.")
def main(scores: Path, model: Path, split: str, store: Path | None) -> None:
    """Prints what is measured as JSON."""
    clips = [clip for clip in read_clips(scores) if clip.split == split]
    spec = measured_spec(clips, open_engine(model, threads=1).spec)
    names = ("temperature", "threshold", "fpr_thresholds", "real_people", "real_pictures")
    click.echo(json.dumps({name: asdict(spec)[name] for name in names}))
    if store is not None:
        loaded = load_checkpoint(store)
        # Weights that float16 holds exactly were stored so, and stay as small.
        half = all(torch.equal(value.half().float(), value) for value in loaded.state.values() if value.ndim > 1)
        stored = replace(loaded.spec, **{name: getattr(spec, name) for name in names})
        save_checkpoint(replace(loaded, spec=stored), store, half=half)


if __name__ == "__main__":
    main()
