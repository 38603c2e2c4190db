"""Figures on real deepfakes, by the hash of the checkpoint that they are of: a small data file -> what cards say.

Deepfakes cannot be passed on with the project, so the figures are: ``tinydf-evaluate --real-clips FILE`` measures them
where the clips are, and cards and README are written from the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tinydf.evaluation.evaluate import clusters, forged_videos
from tinydf.evaluation.result import Evaluation, VerdictCounts
from tinydf.metrics import measure
from tinydf_runtime.errors import UnreadableInputError, UsageError
from tinydf_runtime.io.files import write_atomically

SCHEMA = "tinydf.real-clips/1"
ALL = "all"
UNTESTED = (
    "Never tested: wholly synthetic faces, live calls, and how errors vary with age, skin tone, pose, make-up "
    "and light."
)
UNMEASURED = (
    "This checkpoint has not been measured on real deepfakes: every figure here is on forgeries made by code "
    "from photos. On real ones expect less."
)


@dataclass(frozen=True, slots=True)
class Figure:
    """AUC over the clips of one set; counts are None where they were not kept, intervals are 95 %."""

    set: str
    compression: str
    method: str
    real_clips: int | None
    fake_clips: int | None
    auc: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Shares:
    """How many clips of one kind got which verdict, as shares; None where it was not kept."""

    clips: int
    fake: float
    inconclusive: float
    real: float | None


@dataclass(frozen=True, slots=True)
class RealClips:
    """What one checkpoint gives on real deepfakes.

    Attributes:
        figures: The first is the one that is quoted alone.
        verdicts: "real" and "forged" -> the verdicts that such clips got.
        note: Where the clips come from.
    """

    figures: tuple[Figure, ...]
    verdicts: Mapping[str, Shares]
    note: str = ""


def real_clips_of(evaluations: Sequence[Evaluation], seed: int = 0) -> RealClips:
    """Returns one checkpoint's figures on sets that hold forgeries of their own, by set, compression and method.

    Raises:
        UsageError: Forgeries are synthetic, or a set has no real or no forged video.
    """
    figures: list[Figure] = []
    for one in evaluations:
        if one.data.made_by_code:
            raise UsageError(f"{one.data.path}: its forgeries are synthetic. --real-clips wants real deepfakes.")
        figures += _figures_of(one, seed)
    if not figures:
        raise UsageError("--real-clips: no set has real and forged videos of one compression, so there is no AUC.")
    kinds = (("real", "real_verdicts"), ("forged", "fake_verdicts"))
    return RealClips(
        tuple(figures), {kind: _shares([getattr(one.whole, name) for one in evaluations]) for kind, name in kinds}
    )


def _figures_of(one: Evaluation, seed: int) -> Iterator[Figure]:
    """Yields the figures of one set: first all methods of a compression, then each."""
    videos, judged, forged, cluster = (
        one.scored.videos,
        one.judged.logit,
        forged_videos(one.scored),
        clusters(one.scored),
    )
    for source, compression in dict.fromkeys((video.source, video.compression) for video in videos):
        here = np.array([(v.source, v.compression) == (source, compression) for v in videos]) & ~np.isnan(judged)
        methods = dict.fromkeys(v.method for v, wanted in zip(videos, here, strict=True) if wanted and v.forged)
        for method in (ALL, *methods) if len(methods) > 1 else methods:
            chosen = here & np.array([method == ALL or not v.forged or v.method == method for v in videos])
            found = measure(judged[chosen], forged[chosen], cluster[chosen], one.model.threshold, seed)["auc"]
            if found is not None:
                counts = int((chosen & ~forged).sum()), int((chosen & forged).sum())
                rounded = (round(value, 3) for value in (found.value, found.low, found.high))
                yield Figure(source, compression, method, *counts, *rounded)


def _shares(counts: Sequence[VerdictCounts]) -> Shares:
    """Returns the shares of verdicts over several sets."""
    fake, inconclusive, real = (sum(getattr(one, name) for one in counts) for name in ("fake", "inconclusive", "real"))
    clips = max(1, fake + inconclusive + real)
    return Shares(clips, *(round(count / clips, 3) for count in (fake, inconclusive, real)))


def read_real_clips(path: Path) -> dict[str, RealClips]:
    """Returns checkpoint hash -> its figures; nothing for a file that is not there yet.

    Raises:
        UnreadableInputError: The file is damaged or of another schema.
    """
    if not path.exists():
        return {}
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["schema"] != SCHEMA:
            raise UnreadableInputError(f"{path}: schema {stored['schema']}, expected {SCHEMA}.")
        return {
            sha256: RealClips(
                tuple(Figure(**figure) for figure in one["figures"]),
                {kind: Shares(**shares) for kind, shares in one["verdicts"].items()},
                one.get("note", ""),
            )
            for sha256, one in stored["checkpoints"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableInputError(f"{path}: no figures on real clips can be read from it ({error!r}).") from error


def write_real_clips(found: Mapping[str, RealClips], path: Path) -> None:
    """Writes such a file, whole or not at all.

    Raises:
        OutputError: It cannot be written.
    """
    checkpoints = {
        sha256: {
            "figures": [asdict(figure) for figure in one.figures],
            "verdicts": {kind: asdict(shares) for kind, shares in one.verdicts.items()},
            "note": one.note,
        }
        for sha256, one in sorted(found.items())
    }
    text = json.dumps({"schema": SCHEMA, "checkpoints": checkpoints}, indent=1, allow_nan=False)
    write_atomically(path, f"{text}\n".encode())


def describe(found: RealClips | None) -> str:
    """Returns what a card says about real deepfakes, as Markdown: first what was tested and what not, then tables.

    Args:
        found: The checkpoint's figures; None where it has none.
    """
    if found is None or not found.figures:
        return f"**{UNMEASURED}** {UNTESTED}\n"
    return "\n\n".join(filter(None, (_sentence(found), _figures(found.figures), _verdicts(found), found.note))) + "\n"


def _sentence(found: RealClips) -> str:
    first = found.figures[0]
    clips = f"{first.real_clips} real and {first.fake_clips} forged clips of {first.set} {first.compression}".strip()
    said = f"On real deepfakes ({clips}) the AUC is {first.auc:.3f} ({first.low:.3f} to {first.high:.3f})"
    real = found.verdicts.get("real")
    if real is not None:
        said += f"; of {real.clips} real clips {real.fake:.0%} were called fake"
    return f"{said}. {UNTESTED}"


def _figures(figures: Sequence[Figure]) -> str:
    rows = [
        f"| {one.set} | {one.compression or '-'} | {one.method} | {_count(one.real_clips)} | {_count(one.fake_clips)} "
        f"| {one.auc:.3f} | {one.low:.3f} to {one.high:.3f} |"
        for one in figures
    ]
    head = "| set | compression | method | real clips | forged clips | AUC | interval |"
    return "\n".join((head, "| --- | --- | --- | --- | --- | --- | --- |", *rows))


def _verdicts(found: RealClips) -> str:
    if not found.verdicts:
        return ""
    rows = [
        f"| {one.clips} {kind} | {' | '.join(map(_share, (one.fake, one.inconclusive, one.real)))} |"
        for kind, one in found.verdicts.items()
    ]
    return "\n".join(("| clips | called fake | inconclusive | real |", "| --- | --- | --- | --- |", *rows))


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"


def _count(count: int | None) -> str:
    return "-" if count is None else str(count)
