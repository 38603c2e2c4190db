"""A file's report -> the row that the ledger keeps of it, without the scores of single faces."""

from __future__ import annotations

from dataclasses import dataclass

from tinydf_runtime.errors import ExitCode
from tinydf_runtime.results import InputReport


@dataclass(frozen=True, slots=True)
class Result:
    """What was found in one content; the fields are columns of the table ``contents``.

    Attributes:
        exit_code: What ``tinydf-run`` would have ended with.
        people_judged: Tracks with a probability.
        total_s: Seconds of wall clock that scoring took.
        worker: Machine and process that did it.
    """

    exit_code: int
    kind: str
    status: str
    verdict: str
    fake_probability: float | None
    interval_low: float | None
    interval_high: float | None
    fake_threshold: float | None
    reasons: str
    message: str | None
    width: int | None
    height: int | None
    fps: float | None
    duration_s: float | None
    frames_scored: int
    people_judged: int
    total_s: float
    worker: str


@dataclass(frozen=True, slots=True)
class Scored:
    """What a worker hands back of one file.

    Attributes:
        sha256: Hash of the bytes that were really scored; None where the file could not be opened.
        result: Its row.
        people: Rows of the table ``people``, without the content.
        segments: Rows of the table ``segments``, likewise.
        page: The HTML page with all evidence, where it was asked for.
    """

    sha256: str | None
    result: Result
    people: tuple[tuple[object, ...], ...]
    segments: tuple[tuple[object, ...], ...]
    page: bytes | None = None


def scored(item: InputReport, worker: str, page: bytes | None = None) -> Scored:
    """Returns what the ledger keeps of a report."""
    low, high = item.interval or (None, None)
    partly = item.status in ("unreadable", "truncated", "timeout")
    result = Result(
        int(ExitCode.INPUT if partly else ExitCode.DONE),
        item.kind,
        item.status,
        item.verdict,
        item.fake_probability,
        low,
        high,
        item.fake_threshold,
        " ".join(item.reasons),
        item.message,
        item.width,
        item.height,
        item.fps,
        item.duration_s,
        item.frames_scored,
        sum(track.fake_probability is not None for track in item.tracks),
        item.timing.total_s,
        worker,
    )
    people = tuple(
        (one.id, one.first_s, one.last_s, one.verdict, one.fake_probability, one.faces_used, " ".join(one.reasons))
        for one in item.tracks
    )
    segments = tuple((one.track, one.start_s, one.end_s, one.fake_probability) for one in item.segments)
    return Scored(item.sha256, result, people, segments, page)
