"""Scores of an input's tracks -> its verdict. Each step takes what the one before returned; nothing is handed back.

Track verdicts with their segments -> re-encoded once more -> face quality and palette -> verdict of the input ->
caveats of its pictures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from tinydf_runtime.engines.engine import Engine
from tinydf_runtime.faces.exemplars import Exemplars
from tinydf_runtime.results import InputVerdict, Segment, Verdict
from tinydf_runtime.types import FaceScore, Reason
from tinydf_runtime.verdict.aggregate import judge_input, judge_tracks, severity
from tinydf_runtime.verdict.recheck import recheck
from tinydf_runtime.verdict.rules import DecisionRule

UNSEEN: frozenset[Reason] = frozenset(
    {"decoding_failed", "damaged_part", "file_changed", "more_tracks", "size_changes"}
)
"""Part of the input was not seen: a forgery found counts, but finding none is no evidence for `real`."""
CERTAIN_FAKE = 0.9
"""Fake probability that faces in few colours must reach to be called fake. None of 240 photos of real people did,
brought to 256 colours of their own and to 256 fixed ones; 6 and 5 of them passed the threshold, as 6 did that kept
their colours."""

LEAST_QUALITY: dict[str, tuple[float, Reason]] = {
    "over_exposure_prevention": (0.5, "over_exposed"),
    "under_exposure_prevention": (0.25, "under_exposed"),
    "fine_steps": (0.62, "smoothed"),
    "pattern_prevention": (0.01, "screen_pattern"),
}
"""Measure of ``FaceQuality`` -> what half of a person's faces must reach, and what is wrong where they do not.

Painted and posterised faces have even patches over .4 of their middle; of 80 photos and video frames, the most
compressed among them, none had more than .22, and a mask or sunglasses drawn over the face up to .36. The darkest of
400 photos had .66 of its middle brighter than black.
"""


def doubt_quality(verdict: Verdict, scores: Sequence[FaceScore]) -> Verdict:
    """Returns a track's verdict, inconclusive if most of its faces are of a quality that the network was not made for.

    Args:
        verdict: Of the scores.
        scores: Of the track.
    """
    known = [score.quality for score in scores if score.quality is not None]
    if not known or verdict.fake_probability is None:
        return verdict
    wrong = [
        reason
        for name, (least, reason) in LEAST_QUALITY.items()
        if median(float(getattr(quality, name)) for quality in known) < least
    ]
    return replace(verdict, label="inconclusive", reasons=(*verdict.reasons, *wrong)) if wrong else verdict


def doubt_palette(verdict: Verdict, caveats: Sequence[Reason]) -> Verdict:
    """Returns a track's verdict, inconclusive if a small palette may hide a forgery or look like one.

    Args:
        verdict: Of the scores.
        caveats: See ``VideoReader``.
    """
    certain = verdict.label == "fake" and (verdict.fake_probability or 0.0) >= CERTAIN_FAKE
    if "few_colours" not in caveats or verdict.label == "inconclusive" or certain:
        return verdict
    return replace(verdict, label="inconclusive", reasons=(*verdict.reasons, "few_colours"))


def weigh_caveats(
    verdict: InputVerdict, reasons: tuple[Reason, ...], caveats: Sequence[Reason]
) -> tuple[InputVerdict, tuple[Reason, ...]]:
    """Returns an input's verdict and its reasons, caveats included.

    Args:
        verdict: Of what was seen.
        reasons: For it.
        caveats: See ``VideoReader``.
    """
    if verdict == "real" and UNSEEN.intersection(caveats):
        verdict = "inconclusive"
    return verdict, (*reasons, *(caveat for caveat in caveats if caveat not in reasons))


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the scores of one input say.

    Attributes:
        verdict: Of the input.
        fake_probability: 0..1, of its worst credible track; None where nobody could be judged.
        reasons: Codes that say why.
        tracks: Verdict of each track, by id.
        segments: Time spans in which fake tracks look forged, in order of time.
        deciding: Verdict of the track whose probability is the input's; None where there is none.
        people: How many tracks were judged.
    """

    verdict: InputVerdict
    fake_probability: float | None
    reasons: tuple[Reason, ...]
    tracks: tuple[Verdict, ...]
    segments: tuple[Segment, ...]
    deciding: Verdict | None
    people: int


def judge(
    scores: Mapping[int, Sequence[FaceScore]],
    rule: DecisionRule,
    exemplars: Exemplars,
    engine: Engine,
    coverage: float = 1.0,
    caveats: Sequence[Reason] = (),
) -> Judgement:
    """Returns the verdict of an input and of every track in it.

    Args:
        scores: Track id -> its faces.
        rule: Thresholds and margins.
        exemplars: Crops of the tracks, which are encoded and scored once more.
        engine: The classifier.
        coverage: Share of the input that was read, 0..1.
        caveats: Reasons not to rely on its pictures; see ``VideoReader``.
    """
    judged = recheck(judge_tracks(scores, rule), exemplars, rule.threshold, engine)
    seen = (doubt_quality(verdict, scores[verdict.track]) for verdict, _ in judged)
    tracks = tuple(doubt_palette(verdict, caveats) for verdict in seen)
    fake = {verdict.track for verdict in tracks if verdict.label == "fake"}
    segments = [segment for _, found in judged for segment in found if segment.track in fake]
    verdict, probability, reasons = judge_input(tracks, coverage)
    verdict, reasons = weigh_caveats(verdict, reasons, caveats)
    return Judgement(
        verdict,
        probability,
        reasons,
        tracks,
        tuple(sorted(segments, key=lambda segment: (segment.start_s, segment.track))),
        None if probability is None else max(tracks, key=severity),
        sum(track.fake_probability is not None for track in tracks),
    )
