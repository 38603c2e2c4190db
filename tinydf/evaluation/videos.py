"""Scores of faces -> verdict and score of each video, by the runtime's rules.

Measures what a user will see: the runtime's weights, trimmed mean, segments and worst person, and its refusal to judge
faces that are too small, seldom seen or uncertain.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tinydf.evaluation.scores import ScoredFaces
from tinydf_runtime.models.spec import ModelSpec
from tinydf_runtime.results import InputVerdict
from tinydf_runtime.types import FaceScore
from tinydf_runtime.verdict.aggregate import judge_input, judge_tracks
from tinydf_runtime.verdict.evidence import to_logit
from tinydf_runtime.verdict.rules import MINIMUM_FACES, DecisionRule

RULE = (
    "The runtime's own rule (tinydf_runtime.verdict): faces are weighted by size and detection score, and a person's "
    "logits are averaged without the outer tenth. A segment decides over the whole only if it alone suffices for fake. "
    "A video is judged by its worst person of at least 15 % of the most prominent one's weight. A person needs "
    f"{MINIMUM_FACES} frames, or as many as the table holds of a video."
)


@dataclass(frozen=True, slots=True)
class JudgedVideos:
    """What the runtime says of N videos.

    Attributes:
        logit: N, float64, NaN where there is no probability.
        label: N verdicts.
    """

    logit: NDArray[np.float64]
    label: tuple[InputVerdict, ...]


def judge_videos(scored: ScoredFaces, spec: ModelSpec, perturbation: int = 0) -> JudgedVideos:
    """Judges every video.

    Args:
        scored: The faces.
        spec: Of the model that scored them: its threshold, and what it says of real people.
        perturbation: Which of the ladder's.
    """
    tracks: list[dict[int, list[FaceScore]]] = [defaultdict(list) for _ in scored.videos]
    probability = 1 / (1 + np.exp(-scored.logit[:, perturbation]))
    for face, video, value in zip(scored.faces, scored.video, probability.tolist(), strict=True):
        score = FaceScore(face.time_s, face.frame, face.box_xyxy, face.detection_score, value)
        tracks[video][face.track].append(score)
    judged = [_judge(of_video, spec) for of_video in tracks]
    return JudgedVideos(np.array([logit for _, logit in judged], np.float64), tuple(label for label, _ in judged))


def _judge(tracks: dict[int, list[FaceScore]], spec: ModelSpec) -> tuple[InputVerdict, float]:
    """Returns a video's verdict and logit."""
    most = max(map(len, tracks.values()))
    rule = DecisionRule(spec.threshold, spec.threshold, spec.real_people if most > 1 else spec.real_pictures)
    # Few frames may have been prepared by choice; that is no lack of evidence.
    rule = replace(rule, minimum_faces=min(MINIMUM_FACES, most))
    label, probability, _ = judge_input([verdict for verdict, _ in judge_tracks(tracks, rule)])
    return label, np.nan if probability is None else to_logit(probability)
