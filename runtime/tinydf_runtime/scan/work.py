"""One file -> its hash, or its scores as rows of the ledger; run by a worker process on any machine."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path

from tinydf_runtime.analyzer import Analyzer
from tinydf_runtime.errors import ExitCode, ModelFileError, UnreadableInputError
from tinydf_runtime.io.files import check_file, sha256_of
from tinydf_runtime.results import InputReport
from tinydf_runtime.scan.listing import fetched, is_address
from tinydf_runtime.watch import Limits


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
    """Result of a worker for one file.

    Attributes:
        sha256: Hash of the bytes that were really scored; None where the file could not be opened.
        result: Its row.
        people: Rows of the table ``people``, without the content.
        segments: Rows of the table ``segments``, without the content.
        page: The HTML page with all evidence, where it was asked for.
    """

    sha256: str | None
    result: Result
    people: tuple[tuple[object, ...], ...]
    segments: tuple[tuple[object, ...], ...]
    page: bytes | None = None


def scored(item: InputReport, worker: str, page: bytes | None = None) -> Scored:
    """Returns a report as the ledger keeps it: a row of ``contents``, and rows of ``people`` and ``segments``.

    Args:
        item: The report.
        worker: Machine and process that made it.
        page: Its HTML page, None where none was asked for.
    """
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


Facts = tuple[tuple[str, str], ...]
"""Names and values of everything that results depend on."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How files are scored; see ``Analyzer``.

    Attributes:
        max_seconds: Wall clock for one file, None for as long as it takes.
        pages: Make a page with all evidence of each file.
    """

    model: str | None = None
    detector: str | None = None
    device: str = "auto"
    sample_fps: float | None = 5.0
    threshold: float | None = None
    fpr: float | None = None
    allow_fallback: bool = False
    sandbox: bool = True
    max_seconds: float | None = None
    pages: bool = False


@dataclass(frozen=True, slots=True)
class Hashed:
    """A file's hash, or why its bytes cannot be read."""

    sha256: str | None
    message: str | None = None


def describe(settings: Settings) -> Facts:
    """Returns everything that results depend on: version, networks by hash, threshold, sampling and time limit.

    Raises:
        TinyDFError: They cannot be loaded; see ``Analyzer.load``.
    """
    return _facts(_analyzer(settings), settings)


LONGEST_HASHING_S = 3600.0
"""Wall clock for the hash of one file where no other was given: a small file may say that it is as long as a disk."""


def hash_file(path: str, max_seconds: float | None = None) -> Hashed:
    """Returns the hash of a file or stored file.

    Args:
        path: File, or address of a stored one.
        max_seconds: Wall clock for it, None for ``LONGEST_HASHING_S``.

    Raises:
        UnavailableError: The store does not answer.
    """
    try:
        with _local(path) as file:
            check_file(file)
            return Hashed(sha256_of(file, Limits(max_seconds or LONGEST_HASHING_S).clock()))
    except UnreadableInputError as error:
        return Hashed(None, str(error).replace(os.fspath(path), path))


def score_file(path: str, settings: Settings, expected: Facts) -> Scored:
    """Returns the scores of one file as rows of the ledger.

    Args:
        path: File, or address of a stored one.
        settings: How it is scored.
        expected: What ``describe`` returned at the scan's start.

    Raises:
        ModelFileError: This worker would score with something else.
        UnavailableError: The store does not answer, or no decoder can be started.
    """
    analyzer = _analyzer(settings)
    worker = f"{platform.node()}:{os.getpid()}"
    for (name, found), (_, wanted) in zip(_facts(analyzer, settings), expected, strict=True):
        if found != wanted:
            raise ModelFileError(
                f"worker {worker}: has {name} {found}, the scan's is {wanted}. Install the same there."
            )
    with _local(path) as file:
        item = analyzer.analyze_input(file, None, Limits(settings.max_seconds))
        # A stored file is reported by its address, not by its copy's name.
        message = None if item.message is None else item.message.replace(os.fspath(file), path)
        item = replace(item, path=path, message=message)
        page = _page(analyzer, item, settings.sandbox) if settings.pages and message is None else None
    return scored(item, worker, page)


@lru_cache(maxsize=1)
def _analyzer(settings: Settings) -> Analyzer:
    """Returns this process's analyzer. One thread, since others would take the cores of other workers."""
    analyzer = Analyzer(
        settings.model,
        detector=settings.detector,
        device=settings.device,
        threads=1,
        sample_fps=settings.sample_fps,
        threshold=settings.threshold,
        allow_fallback=settings.allow_fallback,
        fpr=settings.fpr,
        sandbox=settings.sandbox,
    )
    analyzer.load()
    return analyzer


def _page(analyzer: Analyzer, item: InputReport, sandbox: bool) -> bytes:
    """Returns the page with all evidence of one file."""
    from tinydf_runtime.render.html.page import render_page

    return render_page(analyzer.report((item,)), None, datetime.now(timezone.utc), sandbox).encode("utf-8", "replace")


def _facts(analyzer: Analyzer, settings: Settings) -> Facts:
    report = analyzer.report(())
    return (
        ("tool_version", report.tool.version),
        ("model_name", report.model.name),
        ("model_sha256", report.model.sha256 or ""),
        ("detector_name", report.detector.name),
        ("detector_sha256", report.detector.sha256 or ""),
        ("threshold", f"{report.model.threshold:.9g}"),
        ("sample_fps", "all" if settings.sample_fps is None else f"{settings.sample_fps:g}"),
        ("max_seconds", "none" if settings.max_seconds is None else f"{settings.max_seconds:g}"),
    )


@contextmanager
def _local(path: str) -> Iterator[Path]:
    """Gives a file, or a stored one's copy."""
    if is_address(path):
        with fetched(path) as copy:
            yield copy
    else:
        yield Path(path)
