"""Evidence of the tracks -> verdict of each; verdicts of the tracks -> verdict of the input.

A track says what its mean says; a segment of it decides in its place only where it alone suffices for `fake`, so that a
clip forged in its second half is not diluted by its first, and no other clip is judged by its worst moment. What cannot
be told is `inconclusive`, with a reason, and never a number in the middle. Why the numbers are what they are:
docs/verdicts.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from tinydf_runtime.results import FaceScore, InputVerdict, Reason, Segment, Verdict
from tinydf_runtime.verdict.evidence import (
    FULL_SIDE_PX,
    Evidence,
    collect_evidence,
    count_looks,
    interval,
    standard_error,
    to_logit,
    to_probability,
    trimmed_mean,
)
from tinydf_runtime.verdict.rules import BAND, DecisionRule
from tinydf_runtime.verdict.segments import find_forged, shrunken_mean

DOUBT_Z = 1.0
"""Standard errors that a mean must lie away from the threshold. Errors larger than a single person's margin come from
frames that contradict each other."""
SIDE_SHARE = 0.15
"""A person who fills less than this share of what the most prominent one fills is not judged: beside a face of 112 px
that is seen for 4 s, one of 45 px seen as long, or one as large seen for half a second."""
FULL_LOOKS = 20
"""Looks, 4 s of them at the default rate, from which more of a person add nothing to what the person fills."""
MINIMUM_COVERAGE = 0.5
"""With less of a video read than this share, the unseen part may hold the forgery: not finding it says nothing."""


def judge_track(
    track: int, scores: Sequence[FaceScore], rule: DecisionRule, people: int = 1
) -> tuple[Verdict, tuple[Segment, ...]]:
    """Returns a track's verdict and, where it is fake, the time spans in which it looks forged.

    Args:
        track: Its id.
        scores: Its faces, in any order.
        rule: What they are held against.
        people: Tracks of the same input that are judged, this one among them.
    """
    evidence = collect_evidence(scores)
    if thin := thin_reasons(scores, evidence, rule):
        return _not_judged(track, evidence, thin), ()
    threshold_logit, bar = to_logit(rule.threshold), to_logit(rule.threshold) + rule.margin(people)
    forged = [evidence.part(*span) for span in find_forged(evidence, threshold_logit, rule.minimum_faces)]
    whole = trimmed_mean(evidence)
    # The whole comes first, so that a segment must pass it to decide.
    candidates = [(whole, evidence), *((shrunken_mean(part, evidence), part) for part in forged)]
    logit, deciding = max(candidates, key=lambda candidate: candidate[0])
    if logit < bar:
        logit, deciding = whole, evidence
    doubts = doubt_reasons(logit, deciding, rule, people)
    fake = logit >= threshold_logit
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
    """Returns ``judge_track`` of every track of one input, by id, each knowing how many there are to go wrong.

    Who is hardly seen beside the others is not judged: see ``SIDE_SHARE``.

    Args:
        scores: Track -> its faces.
        rule: What they are held against.
    """
    evidence = {track: collect_evidence(faces) for track, faces in scores.items()}
    credible = {track for track in scores if not thin_reasons(scores[track], evidence[track], rule)}
    filled = {track: filled_by(scores[track], evidence[track]) for track in credible}
    most = max(filled.values(), default=0.0)
    people = {track for track in credible if filled[track] >= SIDE_SHARE * most}
    return [
        (_not_judged(track, evidence[track], ("side_person",)), ())
        if track in credible - people
        else judge_track(track, scores[track], rule, len(people))
        for track in sorted(scores)
    ]


def thin_reasons(scores: Sequence[FaceScore], evidence: Evidence, rule: DecisionRule) -> tuple[Reason, ...]:
    """Returns why there is too little to judge, or nothing."""
    if scores and median(score.detection_score for score in scores) < rule.certain_score:
        return ("uncertain_face",)
    if count_looks(evidence) >= rule.minimum_faces:
        return ()
    return ("faces_too_small",) if len(evidence.logit) < rule.minimum_faces <= len(scores) else ("too_few_faces",)


def filled_by(scores: Sequence[FaceScore], evidence: Evidence) -> float:
    """Returns what a track fills of an input: its looks times its usual area, each up to where more shows no more."""
    sides = (max(right - left, bottom - top) for left, top, right, bottom in (score.box_xyxy for score in scores))
    return min(count_looks(evidence), FULL_LOOKS) * min(median(sides), FULL_SIDE_PX) ** 2


def doubt_reasons(logit: float, evidence: Evidence, rule: DecisionRule, people: int = 1) -> tuple[Reason, ...]:
    """Returns why a probability cannot be called real or fake, or nothing.

    Above the threshold a track must pass the margin. Below it a single person must keep some distance; in a crowd
    someone is always near the threshold, so no distance is required.

    Args:
        logit: Of the track, or its worst segment.
        evidence: That it rests on.
        rule: What it is held against.
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
    worst = max(verdicts, key=severity)
    if worst.label == "real" and coverage < MINIMUM_COVERAGE:
        return "inconclusive", worst.fake_probability, ("mostly_unseen",)
    return worst.label, worst.fake_probability, worst.reasons


def severity(verdict: Verdict) -> tuple[int, float]:
    """Returns what tracks are ordered by, the worst last: too little to judge, real, inconclusive, fake."""
    if verdict.fake_probability is None:
        return -1, float(verdict.faces_used)
    return ("real", "inconclusive", "fake").index(verdict.label), verdict.fake_probability


def _not_judged(track: int, evidence: Evidence, reasons: tuple[Reason, ...]) -> Verdict:
    """Returns the verdict of a track that gets no number and never decides."""
    return Verdict(track, "inconclusive", None, reasons, len(evidence.logit))
