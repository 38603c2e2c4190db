"""What was seen of one input -> its report."""

from __future__ import annotations

from collections.abc import Sequence

from tinydf_runtime.results import InputReport, Status, Timing, TrackReport, Verdict
from tinydf_runtime.types import FaceScore, Kind, Reason
from tinydf_runtime.verdict.judge import judge
from tinydf_runtime.verdict.rules import MINIMUM_FACES, DecisionRule
from tinydf_runtime.watch import Watch

_FRAMES_SLACK, _SLACK_S = 2, 0.1


def summarize(path: str, sha256: str | None, kind: Kind, watch: Watch, threshold: float, total_s: float) -> InputReport:
    """Judges every track and returns the report of an input that could be read.

    Args:
        path: The input as it was given.
        sha256: Hash of its file, None for a stream.
        kind: What it is. In a picture one face is enough for a verdict.
        watch: What was seen of it.
        threshold: Probability from which a face counts as fake.
        total_s: Wall clock spent on it.
    """
    assert watch.info is not None
    rule = rule_of(watch, threshold, kind)
    status = _status(kind, watch)
    endless = _is_endless(kind, watch)
    coverage = _coverage(kind, watch) if status in ("truncated", "timeout") and not endless else 1.0
    judged = judge(watch.scores, rule, watch.exemplars, watch.step.engine, coverage, watch.caveats)
    deciding = judged.deciding
    return InputReport(
        path=path,
        sha256=sha256,
        kind=kind,
        status=status,
        width=watch.info.width,
        height=watch.info.height,
        fps=watch.info.fps,
        duration_s=watch.info.duration_s,
        rotation_deg=watch.info.rotation_deg,
        frames_decoded=watch.frames_decoded,
        frames_expected=watch.info.frames_expected,
        frames_scored=watch.frames_scored,
        verdict=judged.verdict,
        fake_probability=judged.fake_probability,
        reasons=(*judged.reasons, "interrupted") if watch.interrupted and not endless else judged.reasons,
        message=None,
        tracks=tuple(_track_report(verdict, watch.scores[verdict.track]) for verdict in judged.tracks),
        segments=judged.segments,
        timing=Timing(*(round(t, 3) for t in (total_s, watch.decode_s, watch.detect_s, watch.classify_s))),
        pictures=watch.exemplars.finest(),
        adjustments=watch.adjustments,
        smallest_face_px=watch.step.smallest_face_px,
        interval=None if deciding is None else deciding.interval,
        rarity=None if deciding is None else deciding.rarity,
        deciding_track=None if deciding is None else deciding.track,
        fake_threshold=rule.fake_threshold(judged.people) if judged.people else None,
        whole_frame=None if deciding is None else watch.exemplars.whole_frame(deciding.track),
    )


def rule_of(watch: Watch, threshold: float, kind: Kind) -> DecisionRule:
    """Returns the decision rule of an input, from what model and detector carry.

    Args:
        watch: Its networks. Detections of a user's own detector without ``certain_score`` are all taken for faces.
        threshold: Probability below which a person is real.
        kind: In a picture one face is enough for a verdict.
    """
    spec, picture = watch.step.engine.spec, kind == "image"
    return DecisionRule(
        threshold,
        spec.threshold,
        spec.real_pictures if picture else spec.real_people,
        getattr(watch.step.detector, "certain_score", 0.0),
        1 if picture else MINIMUM_FACES,
    )


def summarize_unreadable(
    path: str,
    sha256: str | None,
    kind: Kind,
    message: str,
    total_s: float,
    status: Status = "unreadable",
    reasons: tuple[Reason, ...] = ("unreadable",),
) -> InputReport:
    """Returns the report of an input that could not be read: no probability, and never real.

    Args:
        path: The input as it was given.
        sha256: Hash of its file where that could be opened.
        kind: What it is by its name.
        message: What is wrong with it and what to do, in one line.
        total_s: Wall clock spent on it.
        status: "timeout" where it may be read in more time.
        reasons: With "no_resources" if the machine was too busy and the file may be good.
    """
    return InputReport(
        path=path,
        sha256=sha256,
        kind=kind,
        status=status,
        width=None,
        height=None,
        fps=None,
        duration_s=None,
        rotation_deg=None,
        frames_decoded=0,
        frames_expected=None,
        frames_scored=0,
        verdict="error",
        fake_probability=None,
        reasons=reasons,
        message=message,
        tracks=(),
        segments=(),
        timing=Timing(total_s=round(total_s, 3)),
    )


def _status(kind: Kind, watch: Watch) -> Status:
    """Returns an input's status. A stream has no end of its own: stopping it does not cut it short."""
    endless = _is_endless(kind, watch)
    if watch.interrupted and not endless:
        return "truncated"
    if watch.status == "truncated" or (watch.status == "timeout" and not endless):
        return watch.status
    return "ok" if watch.scores else "no_face"


def _is_endless(kind: Kind, watch: Watch) -> bool:
    """Returns whether an input has no end, so that nothing of it is left unread. A file on a web server has one."""
    return kind == "stream" and (watch.info is None or watch.info.duration_s is None)


def _coverage(kind: Kind, watch: Watch) -> float:
    """Returns the share of an input that was seen, 0..1; 0 where its length, or what is left, is not known.

    Where more came than its headers promised, nobody knows how much more would have.
    """
    assert watch.info is not None
    expected, duration_s = watch.info.frames_expected, watch.info.duration_s
    if kind != "image" and expected and watch.frames_decoded <= expected + _slack(expected, _FRAMES_SLACK):
        return min(1.0, watch.frames_decoded / expected)
    if not duration_s or watch.last_s > duration_s + _slack(duration_s, _SLACK_S):
        return 0.0
    return min(1.0, watch.last_s / duration_s)


def _slack(length: float, least: float) -> float:
    """Returns by how much a length may differ from what the headers say."""
    return max(least, 0.02 * length)


def _track_report(verdict: Verdict, scores: Sequence[FaceScore]) -> TrackReport:
    """Returns a track's verdict with its scores."""
    return TrackReport(
        verdict.track,
        scores[0].time_s,
        scores[-1].time_s,
        verdict.label,
        verdict.fake_probability,
        verdict.faces_used,
        verdict.reasons,
        scores,
        verdict.interval,
        verdict.rarity,
    )
