"""Scores of real people in synthetic clips -> what a network's ``ModelSpec`` carries about them.

That is temperature, threshold, the table of ``--fpr``, and the scores of real people in clips and pictures, from which
the runtime derives rarity and the fake threshold. Clips without a verdict are left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from tinydf.checkpoint import load_checkpoint, save_checkpoint
from tinydf.evaluation.operating_point import DIGITS, FPR_SHARES
from tinydf.evaluation.scored_clips import Clip, certain_score
from tinydf.metrics import fit_temperature
from tinydf_runtime.errors import UsageError
from tinydf_runtime.models.spec import ModelSpec
from tinydf_runtime.verdict.rules import MINIMUM_FACES, DecisionRule, RealScores

THRESHOLD_SHARE = 0.2
"""Share of real people who reach the threshold, and are not called real.

Up to a fifth, doubt keeps at least as large a share of forged clips from being called real as it leaves real ones open
(docs/verdicts.md): calling a forgery real is the worse mistake. Beyond a fifth it costs real people more.
"""
FEWEST_PEOPLE = 4
"""People that must reach a share's threshold; below that the share is too uncertain and left out."""
MEASURED = ("temperature", "threshold", "fpr_thresholds", "real_people", "real_pictures")
"""Fields of a ``ModelSpec`` that are measured here."""


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
        fit: Fits the temperature where there are forged clips; both classes weigh alike.

    Raises:
        UsageError: No clip of a real person has a score.
    """
    real, forged = logits_of(clips, "real", spec), logits_of(clips, "forged", spec)
    if not real:
        raise UsageError("no clip of a real person has a score: nothing can be measured. Score more people.")
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


def store_measured(spec: ModelSpec, checkpoint: Path) -> None:
    """Writes what was measured into a checkpoint; all else in it stays, the precision of its weights too.

    Raises:
        UnreadableInputError: There is no such checkpoint.
        ModelFileError: It is damaged.
        OutputError: It cannot be written.
    """
    loaded = load_checkpoint(checkpoint)
    # Weights that float16 holds exactly were stored so, and stay as small.
    half = all(torch.equal(value.half().float(), value) for value in loaded.state.values() if value.ndim > 1)
    stored = replace(loaded.spec, **{name: getattr(spec, name) for name in MEASURED})
    save_checkpoint(replace(loaded, spec=stored), checkpoint, half=half)


def _probability(logit: float) -> float:
    """Returns a threshold, rounded up, so that no more people reach it than were measured."""
    scale = float(10**DIGITS)
    return math.ceil(scale / (1 + math.exp(-logit))) / scale
