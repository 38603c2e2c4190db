"""Evidence of the tracks -> verdict of each; verdicts of the tracks -> verdict of the input.

A track says what its worst credible stretch says, so that a clip forged in its second half is not diluted by its first.
What cannot be told is `inconclusive`, with a reason, and never a number in the middle. Why the numbers are what they
are: docs/verdicts.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median

from tinydf_runtime.findings import InputVerdict
from tinydf_runtime.judging.evidence import (
    Evidence,
    collect_evidence,
    count_looks,
    interval,
    standard_error,
    to_logit,
    to_probability,
    trimmed_mean,
)
from tinydf_runtime.judging.segments import find_forged, temper
from tinydf_runtime.types import FaceScore, Reason, Segment, Verdict

CERTAIN_FACE = 0.7
"""Half of a track's detections must be this sure. What merely resembles a face is foreign to the classifier, whose
score for it means nothing, and no video may be called fake for a pattern on a wall."""
MINIMUM_FACES = 5
"""The fewest looks at a person in a video, a second of them at the default rate: two of three may be one blink."""
BAND = 0.2
"""Logits below the threshold (about .05 of probability at .5) in which a verdict would be a coin's."""
DOUBT_Z = 1.0
"""Standard errors that a mean must lie away from the threshold. Errors larger than a single person's margin come from
frames that contradict each other."""
THRESHOLD_FALSE_ALARMS = 0.1
"""Share of real faces that reach the threshold of the shipped networks."""
ALLOWED_FALSE_ALARMS = 0.03
"""Share of inputs with real people only that may be called fake."""
TAIL = 0.75
"""Logits above the threshold over which the share of real people that score as high falls by a factor e. It is people
who differ: no number of frames of one person averages that out."""
MINIMUM_COVERAGE = 0.5
"""With less of a video read than this share, the unseen part may hold the forgery: not finding it says nothing."""


def judge_track(
    track: int,
    scores: Sequence[FaceScore],
    threshold: float,
    minimum_faces: int = MINIMUM_FACES,
    people: int = 1,
    stricter: float = 0.0,
) -> tuple[Verdict, tuple[Segment, ...]]:
    """Returns a track's verdict and the time spans in which it looks forged.

    The track's probability is the larger of its mean and of its tempered segments.

    Args:
        track: Its id.
        scores: Its faces, in any order.
        threshold: Probability that few real faces reach, above 0 and below 1: below it a track is real, and fake from
            ``alarm_margin`` above it.
        minimum_faces: 1 for a single picture.
        people: Tracks of the same input that are judged, this one among them.
        stricter: See ``strictness``.
    """
    evidence = collect_evidence(scores)
    if thin := thin_reasons(scores, evidence, minimum_faces):
        return Verdict(track, "inconclusive", None, thin, len(evidence.logit)), ()
    threshold_logit = to_logit(threshold)
    forged = [evidence.part(*span) for span in find_forged(evidence, threshold_logit, minimum_faces)]
    # The whole comes first, so that a segment must pass it to decide.
    candidates = [(trimmed_mean(evidence), evidence), *((temper(part, evidence), part) for part in forged)]
    logit, deciding = max(candidates, key=lambda candidate: candidate[0])
    doubts = doubt_reasons(logit, deciding, threshold_logit, people, stricter)
    fake = logit >= threshold_logit
    segmental = fake and len(deciding.logit) < len(evidence.logit)
    verdict = Verdict(
        track,
        "inconclusive" if doubts else "fake" if fake else "real",
        to_probability(logit),
        ("forged_segment", *doubts) if segmental else doubts,
        len(deciding.logit),
        interval(logit, deciding),
    )
    segments = tuple(
        Segment(track, float(part.time_s[0]), float(part.time_s[-1]), to_probability(trimmed_mean(part)))
        for part in forged
    )
    return verdict, segments


def judge_tracks(
    scores: Mapping[int, Sequence[FaceScore]],
    threshold: float,
    minimum_faces: int = MINIMUM_FACES,
    stricter: float = 0.0,
) -> list[tuple[Verdict, tuple[Segment, ...]]]:
    """Returns ``judge_track`` of every track of one input, by id, each knowing how many there are to go wrong.

    Args:
        scores: Track -> its faces.
        threshold: Probability from which a face counts as fake.
        minimum_faces: 1 for a single picture.
        stricter: See ``strictness``.
    """
    people = sum(not thin_reasons(faces, collect_evidence(faces), minimum_faces) for faces in scores.values())
    return [
        judge_track(track, faces, threshold, minimum_faces, people, stricter) for track, faces in sorted(scores.items())
    ]


def thin_reasons(scores: Sequence[FaceScore], evidence: Evidence, minimum_faces: int) -> tuple[Reason, ...]:
    """Returns why there is too little to judge, or nothing."""
    if scores and median(score.detection_score for score in scores) < CERTAIN_FACE:
        return ("uncertain_face",)
    if count_looks(evidence) >= minimum_faces:
        return ()
    return ("faces_too_small",) if len(evidence.logit) < minimum_faces <= len(scores) else ("too_few_faces",)


def strictness(threshold: float, usual: float) -> float:
    """Returns the logits by which a threshold lies above the usual one, 0 where it does not.

    Args:
        threshold: Probability from which a face counts as fake.
        usual: The same where ``THRESHOLD_FALSE_ALARMS`` of real faces reach it: the model's own.
    """
    return max(0.0, to_logit(threshold) - to_logit(usual))


def alarm_margin(people: int, stricter: float = 0.0) -> float:
    """Returns the logits by which the worst of so many people must pass the threshold to be called fake.

    The worst of thirty real people scores higher than any one of them is expected to. Each person may give a false
    alarm so rarely that all together do in ``ALLOWED_FALSE_ALARMS`` of the inputs (Sidak's correction); how far up that
    is follows from the tail of real people's scores. A threshold that few of them reach needs the less above it.

    Args:
        people: Tracks that are judged.
        stricter: See ``strictness``.
    """
    each = 1 - (1 - ALLOWED_FALSE_ALARMS) ** (1 / max(1, people))
    return max(BAND, TAIL * math.log(THRESHOLD_FALSE_ALARMS / each) - stricter)


def doubt_reasons(
    logit: float, evidence: Evidence, threshold_logit: float, people: int = 1, stricter: float = 0.0
) -> tuple[Reason, ...]:
    """Returns why a probability cannot be called real or fake, or nothing.

    Above the threshold a track must pass the margin. Below it a single person must keep some distance; a crowd, of whom
    somebody is always near, need not.

    Args:
        logit: Of the track, or its worst segment.
        evidence: That it rests on.
        threshold_logit: From which a face counts as fake.
        people: See ``alarm_margin``.
        stricter: See ``strictness``.
    """
    single, margin = alarm_margin(1, stricter), alarm_margin(people, stricter)
    above, crowd = logit - threshold_logit, margin - single
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
