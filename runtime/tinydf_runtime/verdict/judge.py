"""Scores of an input's tracks -> its verdict. Each step takes what the one before returned; nothing is handed back.

Track verdicts with their segments -> re-encoded once more -> face quality and palette -> verdict of the input ->
caveats of its pictures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tinydf_runtime.engines.engine import Engine
from tinydf_runtime.results import InputVerdict
from tinydf_runtime.types import FaceScore, Reason, Segment, Verdict
from tinydf_runtime.verdict.aggregate import judge_input, judge_tracks, severity
from tinydf_runtime.verdict.caveats import doubt_palette, doubt_quality, weigh_caveats
from tinydf_runtime.verdict.exemplars import Exemplars
from tinydf_runtime.verdict.recheck import recheck
from tinydf_runtime.verdict.rules import DecisionRule


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
        rule: What they are held against.
        exemplars: Crops of the tracks, which are encoded and scored once more.
        engine: The classifier.
        coverage: Share of the input that was read, 0..1.
        caveats: What speaks against relying on its pictures; see ``VideoReader``.
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
