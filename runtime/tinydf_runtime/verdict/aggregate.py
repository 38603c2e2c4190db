"""Evidence of the tracks -> verdict of each; verdicts of the tracks -> verdict of the input.

A track is judged by its mean logit. A segment decides instead only if it alone suffices for `fake`: a clip forged in
its second half is not diluted by its first, and no other clip is judged by its worst moment. An undecided track is
`inconclusive`, with a reason. docs/verdicts.md explains the constants.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from tinydf_runtime.results import InputVerdict, Segment, Verdict
from tinydf_runtime.types import FaceScore, Reason, longer_side
from tinydf_runtime.verdict.evidence import (
    FULL_SIDE_PX,
    Evidence,
    collect_evidence,
    count_steps,
    interval,
    standard_error,
    to_logit,
    to_probability,
    trimmed_mean,
)
from tinydf_runtime.verdict.rules import BAND, DecisionRule
from tinydf_runtime.verdict.segments import find_forged, shrunken_mean

DOUBT_Z = 1.0
"""Distance from the threshold, in standard errors, that a mean must keep. A standard error above a single person's
margin means that frames contradict each other."""
SIDE_SHARE = 0.15
"""A person whose prominence is below this share of the most prominent one's is not judged: beside a face of 112 px seen
for 4 s, that is one of 45 px seen as long, or one as large seen for half a second."""
FULL_STEPS = 20
"""Time steps (4 s at the default rate) beyond which a person's prominence grows no further."""
SMALL_FACE_LOGITS = 2.0
"""How far below the threshold a face must score to be called real, were it a point; from ``FULL_SIDE_PX`` on not at
all. Small faces score near the threshold, forged ones too: without this, forged clips of small faces are called real
twice as often as those of large ones (docs/verdicts.md)."""
MINIMUM_COVERAGE = 0.5
"""If a smaller share of a video was read, the unread part may hold the forgery, so that the verdict is not `real`."""


def judge_track(
    track: int, scores: Sequence[FaceScore], rule: DecisionRule, people: int = 1
) -> tuple[Verdict, tuple[Segment, ...]]:
    """Returns a track's verdict and, where it is fake, the time spans in which it looks forged.

    Args:
        track: Its id.
        scores: Its faces, in any order.
        rule: Thresholds and margins.
        people: Judged tracks of the same input, this one included.
    """
    evidence = collect_evidence(scores)
    if thin := thin_reasons(scores, evidence, rule):
        return _not_judged(track, evidence, thin), ()
    threshold_logit, fake_logit = to_logit(rule.threshold), to_logit(rule.threshold) + rule.margin(people)
    forged = [evidence.part(*span) for span in find_forged(evidence, threshold_logit, rule.minimum_faces)]
    whole = trimmed_mean(evidence)
    # The whole comes first, so that a segment must pass it to decide.
    candidates = [(whole, evidence), *((shrunken_mean(part, evidence), part) for part in forged)]
    logit, deciding = max(candidates, key=lambda candidate: candidate[0])
    if logit < fake_logit:
        logit, deciding = whole, evidence
    doubts = doubt_reasons(logit, deciding, rule, people)
    fake = logit >= threshold_logit
    if not fake and not doubts and threshold_logit - logit < logits_to_clear(scores):
        doubts = ("faces_too_small",)
    segmental = fake and len(deciding.logit) < len(evidence.logit)
    verdict = Verdict(
        track,
        "inconclusive" if doubts else "fake" if fake else "real",
        to_probability(logit),
        ("forged_segment", *doubts) if segmental else doubts,
        len(deciding.logit),
        interval(logit, deciding),
        None if rule.real_people is None else rule.real_people.rarity(logit),
    )
    if verdict.label != "fake":
        return verdict, ()
    return verdict, tuple(
        Segment(track, float(part.time_s[0]), float(part.time_s[-1]), to_probability(trimmed_mean(part)))
        for part in forged
    )


def judge_tracks(
    scores: Mapping[int, Sequence[FaceScore]], rule: DecisionRule
) -> list[tuple[Verdict, tuple[Segment, ...]]]:
    """Returns ``judge_track`` of every track of one input, by id, with margins for the number of people judged.

    People of little prominence beside the others are not judged: see ``SIDE_SHARE``.

    Args:
        scores: Track -> its faces.
        rule: Thresholds and margins.
    """
    evidence = {track: collect_evidence(faces) for track, faces in scores.items()}
    credible = {track for track in scores if not thin_reasons(scores[track], evidence[track], rule)}
    prominence = {track: prominence_of(scores[track], evidence[track]) for track in credible}
    most = max(prominence.values(), default=0.0)
    people = {track for track in credible if prominence[track] >= SIDE_SHARE * most}
    return [
        (_not_judged(track, evidence[track], ("side_person",)), ())
        if track in credible - people
        else judge_track(track, scores[track], rule, len(people))
        for track in sorted(scores)
    ]


def thin_reasons(scores: Sequence[FaceScore], evidence: Evidence, rule: DecisionRule) -> tuple[Reason, ...]:
    """Returns why a track has too little evidence to judge; empty if it has enough."""
    if scores and median(score.detection_score for score in scores) < rule.certain_score:
        return ("uncertain_face",)
    if count_steps(evidence) >= rule.minimum_faces:
        return ()
    return ("faces_too_small",) if len(evidence.logit) < rule.minimum_faces <= len(scores) else ("too_few_faces",)


def prominence_of(scores: Sequence[FaceScore], evidence: Evidence) -> float:
    """Returns a track's prominence in its input: time steps times median area in square pixels, both capped."""
    sides = (longer_side(score.box_xyxy) for score in scores)
    return min(count_steps(evidence), FULL_STEPS) * min(median(sides), FULL_SIDE_PX) ** 2


def doubt_reasons(logit: float, evidence: Evidence, rule: DecisionRule, people: int = 1) -> tuple[Reason, ...]:
    """Returns why a track is called neither real nor fake; empty if it can be.

    Above the threshold a track must pass the margin. Below it a single person must keep some distance; in a crowd
    someone is always near the threshold, so no distance is required.

    Args:
        logit: Of the track, or its worst segment.
        evidence: That it rests on.
        rule: Thresholds and margins.
        people: Tracks of the input that are judged.
    """
    single, margin = rule.margin(1), rule.margin(people)
    above, crowd = logit - to_logit(rule.threshold), margin - single
    error = DOUBT_Z * standard_error(evidence)
    uncertain = (above if above >= 0 else crowd - above) < error
    if uncertain and error > single:
        return ("frames_disagree",)
    if single <= above < margin:
        return ("many_people",)
    return ("near_threshold",) if uncertain or min(0.0, crowd - BAND) < above < single else ()


def logits_to_clear(scores: Sequence[FaceScore]) -> float:
    """Returns how far below the threshold a track must score to be called real: 0 where its faces are large enough."""
    side_px = median(longer_side(score.box_xyxy) for score in scores)
    return SMALL_FACE_LOGITS * max(0.0, 1 - side_px / FULL_SIDE_PX)


def judge_input(
    verdicts: Sequence[Verdict], coverage: float = 1.0
) -> tuple[InputVerdict, float | None, tuple[Reason, ...]]:
    """Returns an input's verdict, its probability and the reasons: those of its worst credible track.

    Fake outranks inconclusive, inconclusive outranks real, and tracks without a probability decide only if there are no
    others.

    Args:
        verdicts: Of all tracks.
        coverage: Share of the input that was read, 0..1.
    """
    if not verdicts:
        return "no_face", None, ("no_face_found",)
    worst = max(verdicts, key=severity)
    if worst.label == "real" and coverage < MINIMUM_COVERAGE:
        return "inconclusive", worst.fake_probability, ("mostly_unseen",)
    return worst.label, worst.fake_probability, worst.reasons


def severity(verdict: Verdict) -> tuple[int, float]:
    """Returns the sort key of tracks, the worst last: not judged, real, inconclusive, fake; then by probability."""
    if verdict.fake_probability is None:
        return -1, float(verdict.faces_used)
    return ("real", "inconclusive", "fake").index(verdict.label), verdict.fake_probability


def _not_judged(track: int, evidence: Evidence, reasons: tuple[Reason, ...]) -> Verdict:
    """Returns the verdict of a track without a probability, which never decides."""
    return Verdict(track, "inconclusive", None, reasons, len(evidence.logit))
