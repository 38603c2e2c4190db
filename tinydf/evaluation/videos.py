"""Scores of faces -> a score a video, by the rule that the runtime judges videos with.

So what is measured is what a user will see: the runtime's weights, trimmed mean, segments and worst person, and its
refusal to judge faces that are too small or may be none.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from tinydf.evaluation.scores import ScoredFaces
from tinydf_runtime.aggregate import MINIMUM_FACES, judge_input, judge_tracks
from tinydf_runtime.judging.evidence import to_logit
from tinydf_runtime.types import FaceScore

RULE = (
    "The runtime's own rule (tinydf_runtime.aggregate): faces weigh by size and detection score, a person's logits are "
    "averaged without the outer tenth, a stretch that looks forged may decide over the whole, and a video is as forged "
    f"as its worst person. It asks for {MINIMUM_FACES} looks at a person, or as many as the table holds of a video."
)


def video_logits(scored: ScoredFaces, threshold: float, perturbation: int = 0) -> NDArray[np.float64]:
    """Returns a logit a video, NaN where the runtime would give no probability.

    Args:
        scored: The faces.
        threshold: Probability from which a face counts as fake; segments are sought by it.
        perturbation: Which of the ladder's.
    """
    tracks: list[dict[int, list[FaceScore]]] = [defaultdict(list) for _ in scored.videos]
    probability = 1 / (1 + np.exp(-scored.logit[:, perturbation]))
    for face, video, value in zip(scored.faces, scored.video, probability.tolist(), strict=True):
        score = FaceScore(face.time_s, face.frame, face.box_xyxy, face.detection_score, value)
        tracks[video][face.track].append(score)
    return np.array([_judge(of_video, threshold) for of_video in tracks])


def _judge(tracks: dict[int, list[FaceScore]], threshold: float) -> float:
    """Returns a video's logit."""
    # How many frames of a video were prepared is the choice of who prepared it, not a lack of evidence.
    minimum_faces = min(MINIMUM_FACES, max(map(len, tracks.values())))
    verdicts = [verdict for verdict, _ in judge_tracks(tracks, threshold, minimum_faces)]
    probability = judge_input(verdicts)[1]
    return np.nan if probability is None else to_logit(probability)
