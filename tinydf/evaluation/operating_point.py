"""Scores on validation -> the temperature and the threshold that a checkpoint carries into every export."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tinydf.checkpoint import load_checkpoint, save_checkpoint
from tinydf.evaluation.evaluate import forged_videos
from tinydf.evaluation.faces import FaceSet
from tinydf.evaluation.scores import ScoredFaces
from tinydf.evaluation.videos import judge_videos
from tinydf.metrics import fit_temperature, threshold_at_fpr
from tinydf_runtime.errors import UnknownFormatError, UsageError
from tinydf_runtime.models.spec import ModelSpec
from tinydf_runtime.verdict.evidence import LOGIT_LIMIT
from tinydf_runtime.verdict.rules import RealScores

DIGITS = 4
"""Digits of temperature and threshold; more are noise, and fewer would change verdicts."""
FPR_SHARES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3)
"""Shares of real faces for which a model knows the threshold, so that ``tinydf-run --fpr`` can choose."""
FEWEST_FACES = 20
"""Faces that must reach a share's threshold; below that the share is too uncertain and left out."""


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A fitted operating point.

    Attributes:
        temperature: Divides the network's own logits.
        threshold: Probability from which a video counts as fake.
        fpr: The share of real videos that was allowed to reach it.
        found_fpr: The share that does, on the very videos that it was fitted on.
        real_videos: How many those are.
        fpr_thresholds: See ``ModelSpec``.
    """

    temperature: float
    threshold: float
    fpr: float
    found_fpr: float
    real_videos: int
    fpr_thresholds: tuple[tuple[float, float], ...] = ()


def fit_operating_point(parts: Sequence[ScoredFaces], spec: ModelSpec, fpr: float) -> OperatingPoint:
    """Fits the temperature on faces and the threshold on videos.

    The temperature makes a face's probability the best one, both classes weighing alike. The threshold is the lowest
    that no more than ``fpr`` of the real videos reach, judged by the runtime's rule.

    Args:
        parts: Validation sets, as scored with the temperature of ``spec``.
        spec: Of the model that scored them.
        fpr: Above 0 and below 1.

    Raises:
        UsageError: A class is missing, or no threshold that a video can reach lets so few real ones through.
    """
    logit = np.concatenate([part.logit[:, 0] for part in parts])
    forged = np.concatenate([forged_videos(part)[part.video] for part in parts])
    if forged.all() or not forged.any():
        missing = "real" if forged.all() else "fake"
        raise UsageError(f"no {missing} face in split val: temperature and threshold need both. Add a set with some.")
    factor = fit_temperature(logit[~forged], logit[forged])
    temperature = round(spec.temperature * factor, DIGITS)
    parts = [part.rescaled(spec.temperature / temperature) for part in parts]
    low, high = -LOGIT_LIMIT, LOGIT_LIMIT
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (low, middle) if _passing(parts, _sigmoid(middle))[0] <= fpr else (middle, high)
    threshold = math.ceil(_sigmoid(high) * 10**DIGITS) / 10**DIGITS
    if threshold > _sigmoid(LOGIT_LIMIT):
        raise UsageError(
            f"--fpr {fpr:g}: more of the real videos are as surely fake as a video can be. Allow more, or train on."
        )
    found, count = _passing(parts, threshold)
    real = np.concatenate([part.logit[:, 0] for part in parts])[~forged]
    return OperatingPoint(temperature, threshold, fpr, found, count, tabulate_fpr(1 / (1 + np.exp(-real))))


def tabulate_fpr(real: NDArray[np.float64]) -> tuple[tuple[float, float], ...]:
    """Returns each of ``FPR_SHARES`` that can be measured, with the threshold that so many real faces reach.

    Args:
        real: N, fake probabilities of real faces.
    """
    scale = 10**DIGITS
    return tuple(
        # Rounded up, so that no more faces reach it than were measured.
        (share, math.ceil(threshold_at_fpr(real, share) * scale) / scale)
        for share in FPR_SHARES
        if share * len(real) >= FEWEST_FACES
    )


def store_operating_point(point: OperatingPoint, checkpoint: Path, out: Path, sets: Sequence[FaceSet]) -> ModelSpec:
    """Writes a checkpoint with another temperature and threshold, and how they were fitted, and returns its spec.

    Raises:
        UnknownFormatError: ``out`` does not end in .safetensors.
        OutputError: The file cannot be written.
    """
    if out.suffix != ".safetensors":
        raise UnknownFormatError(f"{out}: expected a name that ends in .safetensors.")
    loaded = load_checkpoint(checkpoint)
    spec = replace(
        loaded.spec,
        temperature=point.temperature,
        threshold=point.threshold,
        fpr_thresholds=point.fpr_thresholds,
        real_people=_rescaled(loaded.spec.real_people, loaded.spec.temperature / point.temperature),
        real_pictures=_rescaled(loaded.spec.real_pictures, loaded.spec.temperature / point.temperature),
    )
    record = {
        "fpr": point.fpr,
        "found_fpr": point.found_fpr,
        "real_videos": point.real_videos,
        "tables": [face_set.table_sha256 for face_set in sets],
    }
    # Weights that float16 holds exactly were stored so, and stay as small.
    half = all(torch.equal(value.half().float(), value) for value in loaded.state.values() if value.ndim > 1)
    config = dict(loaded.config) | {"operating_point": record}
    save_checkpoint(replace(loaded, config=config, spec=spec), out, half=half)
    return spec


def _rescaled(measured: RealScores | None, factor: float) -> RealScores | None:
    """Returns what was measured of real people at another temperature."""
    return None if measured is None else measured.rescaled(factor)


def _passing(parts: Sequence[ScoredFaces], threshold: float) -> tuple[float, int]:
    """Returns the share of the real videos that reach a threshold, and how many real videos were judged."""
    judged = np.concatenate(
        [judge_videos(part, ModelSpec("", threshold=threshold)).logit[~forged_videos(part)] for part in parts]
    )
    known = judged[~np.isnan(judged)]
    return float((known >= math.log(threshold / (1 - threshold))).mean()) if len(known) else 1.0, len(known)


def _sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))
