"""Scores of a track -> verdict; verdicts of the tracks -> verdict of the input.

Probabilities are averaged as logits, where two equally sure and opposite frames cancel out. Faces weigh by how much
they show. A track says what its worst credible stretch says, so that a clip forged in its second half is not diluted
by its first. What cannot be told is `inconclusive`, with a reason, and never a number in the middle.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from tinydf_runtime.types import FaceScore, InputVerdict, Reason, Segment, Verdict

LOGIT_LIMIT = 5.0
"""Networks saturate: beyond 99.3 % a score says no more, and one frame must not outweigh all others."""
MINIMUM_SIDE_PX = 40.0
"""Below this the crop is enlarged more than fivefold, and the network looks at interpolation."""
FULL_SIDE_PX = 112.0
"""From half the network's input side on, a face shows all the detail that the network can use."""
CERTAIN_FACE = 0.7
"""Half of a track's detections must be this sure. What merely resembles a face is foreign to the classifier, whose
score for it means nothing, and no video may be called fake for a pattern on a wall."""
MINIMUM_FACES = 5
"""The fewest looks at a person in a video, a second of them at the default rate: two of three may be one blink."""
TRIM = 0.1
"""Share of the weight left out at either end, so that blinks and motion blur do not move the mean."""
BAND = 0.2
"""Logits on either side of the threshold (about .05 of probability at .5) in which a verdict would be a coin's."""
LOOKS_A_SECOND = 1.0
"""Neighbouring frames show the same pose and compression: about one a second is a new look."""
SMOOTHING_S = 1.5
"""Width of the window over which scores are averaged before segments are sought."""
MINIMUM_SEGMENT_S = 1.5
"""Shorter stretches are as a rule a turned head or a cut; longer ones are evidence."""
HYSTERESIS = 0.4
"""Logits that the smoothed score must fall below the threshold to end a segment, so that it does not flicker."""
MAXIMUM_GAP_S = 2.0
"""A segment does not reach over a longer time in which the face was not seen."""
PRIOR_S = 2.0
"""A segment is picked because it is high, so it is judged together with this many seconds of the whole track."""
MINIMUM_COVERAGE = 0.5
"""With less of a video read than this share, the unseen part may hold the forgery: not finding it says nothing."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """The faces of a track that count, in order of time.

    Attributes:
        time_s: N, float64.
        logit: N, float64, within +-LOGIT_LIMIT.
        weight: N, float64, above 0.
    """

    time_s: NDArray[np.float64]
    logit: NDArray[np.float64]
    weight: NDArray[np.float64]

    def part(self, first: int, end: int) -> Evidence:
        """Returns the faces from ``first`` up to and without ``end``."""
        return Evidence(self.time_s[first:end], self.logit[first:end], self.weight[first:end])

    def duration_s(self) -> float:
        """Returns the time between the first and the last face."""
        return float(self.time_s[-1] - self.time_s[0]) if len(self.time_s) else 0.0


def side_px(score: FaceScore) -> float:
    """Returns the longer side of a face's box, on which its crop rests."""
    left, top, right, bottom = score.box_xyxy
    return max(right - left, bottom - top)


def collect_evidence(scores: Sequence[FaceScore]) -> Evidence:
    """Returns the faces that are large enough, weighted by size and detection score."""
    ordered = sorted((s for s in scores if side_px(s) >= MINIMUM_SIDE_PX), key=lambda s: s.time_s)
    weight = [min(1.0, side_px(s) / FULL_SIDE_PX) * max(s.detection_score, 0.05) for s in ordered]
    return Evidence(
        np.array([s.time_s for s in ordered], np.float64),
        np.array([to_logit(s.fake_probability) for s in ordered], np.float64),
        np.array(weight, np.float64),
    )


def to_logit(probability: float) -> float:
    """Returns log(p / (1 - p)), kept within +-LOGIT_LIMIT."""
    inside = min(max(probability, 1e-9), 1 - 1e-9)
    return min(max(math.log(inside / (1 - inside)), -LOGIT_LIMIT), LOGIT_LIMIT)


def to_probability(logit: float) -> float:
    """Returns the logistic function, rounded to the six digits that reports hold."""
    return round(1 / (1 + math.exp(-logit)), 6)


def trimmed_mean(evidence: Evidence) -> float:
    """Returns the weighted mean of the logits without the outer ``TRIM`` of the weight on either side."""
    order = np.argsort(evidence.logit, kind="stable")
    share = evidence.weight[order] / evidence.weight.sum()
    upper = np.cumsum(share)
    kept = np.clip(np.minimum(upper, 1 - TRIM) - np.maximum(upper - share, TRIM), 0, None)
    return float((kept * evidence.logit[order]).sum() / kept.sum())


def standard_error(evidence: Evidence) -> float:
    """Returns how far the mean logit may be off, counting one independent look a second."""
    mean = np.average(evidence.logit, weights=evidence.weight)
    variance = float(np.average((evidence.logit - mean) ** 2, weights=evidence.weight))
    looks = min(len(evidence.logit), 1 + evidence.duration_s() * LOOKS_A_SECOND)
    return math.sqrt(variance / looks)


def smooth(evidence: Evidence) -> NDArray[np.float64]:
    """Returns, for each face, the weighted mean logit of those within half of ``SMOOTHING_S``."""
    first = np.searchsorted(evidence.time_s, evidence.time_s - SMOOTHING_S / 2, side="left")
    end = np.searchsorted(evidence.time_s, evidence.time_s + SMOOTHING_S / 2, side="right")
    weight = np.concatenate([[0.0], np.cumsum(evidence.weight)])
    total = np.concatenate([[0.0], np.cumsum(evidence.weight * evidence.logit)])
    smoothed: NDArray[np.float64] = (total[end] - total[first]) / (weight[end] - weight[first])
    return smoothed


def find_spans(evidence: Evidence, threshold_logit: float) -> list[tuple[int, int]]:
    """Returns the spans, as first and end index, whose smoothed score passes the threshold, with hysteresis."""
    spans: list[tuple[int, int]] = []
    start: int | None = None
    for i, value in enumerate(smooth(evidence)):
        gap = i > 0 and evidence.time_s[i] - evidence.time_s[i - 1] > MAXIMUM_GAP_S
        if start is not None and (gap or value < threshold_logit - HYSTERESIS):
            spans.append((start, i))
            start = None
        if start is None and value >= threshold_logit:
            start = i
    if start is not None:
        spans.append((start, len(evidence.time_s)))
    fitted = [_fit_ends(evidence, span, threshold_logit) for span in spans]
    # Two spans that reached for the same face are one.
    joined: list[tuple[int, int]] = []
    for first, end in fitted:
        if joined and first < joined[-1][1]:
            first = joined.pop()[0]
        joined.append((first, end))
    return joined


def _fit_ends(evidence: Evidence, span: tuple[int, int], threshold_logit: float) -> tuple[int, int]:
    """Moves both ends of a span to where the scores themselves pass: smoothing shifts a change by half its window."""
    reach_s = SMOOTHING_S / 2
    passing, time_s = evidence.logit >= threshold_logit, evidence.time_s
    first, last = span[0], span[1] - 1
    while first > 0 and passing[first - 1] and time_s[span[0]] - time_s[first - 1] <= reach_s:
        first -= 1
    while last + 1 < len(passing) and passing[last + 1] and time_s[last + 1] - time_s[span[1] - 1] <= reach_s:
        last += 1
    inside = np.flatnonzero(passing[first : last + 1])
    return (first + int(inside[0]), first + int(inside[-1]) + 1) if len(inside) else (first, first)


def is_credible_span(part: Evidence, whole: Evidence, minimum_faces: int) -> bool:
    """Tells whether a span is long enough, or all there is of a short track."""
    lasting = part.duration_s() >= min(MINIMUM_SEGMENT_S, whole.duration_s())
    return lasting and len(part.logit) >= minimum_faces


def temper(part: Evidence, whole: Evidence) -> float:
    """Returns a segment's mean logit, drawn towards the whole track's as if that had ``PRIOR_S`` seconds more."""
    share = part.duration_s() / (part.duration_s() + PRIOR_S)
    return share * trimmed_mean(part) + (1 - share) * trimmed_mean(whole)


def thin_reasons(scores: Sequence[FaceScore], evidence: Evidence, minimum_faces: int) -> tuple[Reason, ...]:
    """Returns why there is too little to judge, or nothing."""
    if scores and median(score.detection_score for score in scores) < CERTAIN_FACE:
        return ("uncertain_face",)
    if len(evidence.logit) >= minimum_faces:
        return ()
    return ("faces_too_small",) if len(scores) >= minimum_faces else ("too_few_faces",)


def doubt_reasons(logit: float, evidence: Evidence, threshold_logit: float) -> tuple[Reason, ...]:
    """Returns why a probability cannot be called real or fake, or nothing."""
    distance = abs(logit - threshold_logit)
    reasons: list[Reason] = []
    if distance < BAND:
        reasons.append("near_threshold")
    if distance < standard_error(evidence):
        reasons.append("frames_disagree")
    return tuple(reasons)


def judge_track(
    track: int, scores: Sequence[FaceScore], threshold: float, minimum_faces: int = MINIMUM_FACES
) -> tuple[Verdict, tuple[Segment, ...]]:
    """Returns a track's verdict and the time spans in which it looks forged.

    The track's probability is the larger of its mean and of its tempered segments.

    Args:
        track: Its id.
        scores: Its faces, in any order.
        threshold: Probability from which a face counts as fake, above 0 and below 1.
        minimum_faces: 1 for a single picture.
    """
    evidence = collect_evidence(scores)
    if thin := thin_reasons(scores, evidence, minimum_faces):
        return Verdict(track, "inconclusive", None, thin, len(evidence.logit)), ()
    threshold_logit = to_logit(threshold)
    found = [evidence.part(*span) for span in find_spans(evidence, threshold_logit)]
    tempered = [(temper(part, evidence), part) for part in found if is_credible_span(part, evidence, minimum_faces)]
    forged = [(logit, part) for logit, part in tempered if logit >= threshold_logit]
    # The whole comes first, so that a segment must pass it to decide.
    logit, deciding = max([(trimmed_mean(evidence), evidence), *forged], key=lambda candidate: candidate[0])
    reasons = doubt_reasons(logit, deciding, threshold_logit)
    fake = logit >= threshold_logit
    if fake and deciding is not evidence and len(deciding.logit) < len(evidence.logit):
        reasons = ("forged_segment", *reasons)
    doubtful = any(reason != "forged_segment" for reason in reasons)
    verdict = Verdict(
        track,
        "inconclusive" if doubtful else "fake" if fake else "real",
        to_probability(logit),
        reasons,
        len(deciding.logit),
    )
    segments = tuple(
        Segment(track, float(part.time_s[0]), float(part.time_s[-1]), to_probability(trimmed_mean(part)))
        for _, part in forged
    )
    return verdict, segments


def judge_input(
    verdicts: Sequence[Verdict], coverage: float = 1.0
) -> tuple[InputVerdict, float | None, tuple[Reason, ...]]:
    """Returns an input's verdict, its probability and the reasons: those of its worst credible track.

    A fake track decides over a doubtful one, a doubtful one over real ones, and tracks with too little evidence
    only where there are no others.

    Args:
        verdicts: Of all tracks.
        coverage: Share of the input that was read, 0..1.
    """
    if not verdicts:
        return "no_face", None, ("no_face_found",)
    worst = max(verdicts, key=_severity)
    if worst.label == "real" and coverage < MINIMUM_COVERAGE:
        return "inconclusive", worst.fake_probability, ("mostly_unseen",)
    return worst.label, worst.fake_probability, worst.reasons


def _severity(verdict: Verdict) -> tuple[int, float]:
    """Returns what tracks are ordered by, the worst last."""
    if verdict.fake_probability is None:
        return -1, float(verdict.faces_used)
    return ("real", "inconclusive", "fake").index(verdict.label), verdict.fake_probability
