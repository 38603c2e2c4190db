"""What an evaluation found, and its JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tinydf.data.manifest import Split
from tinydf.evaluation.faces import SYNTHETIC
from tinydf.evaluation.scores import Failure, ScoredFaces
from tinydf.evaluation.videos import RULE, JudgedVideos
from tinydf.metrics import RESAMPLINGS, Estimate, Measures
from tinydf_runtime import __version__

SCHEMA = "tinydf.evaluation/1"
SCHEMA_FILE = Path(__file__).with_name("evaluation.schema.json")
"""JSON Schema of ``tinydf.evaluation/1``."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The network that was measured; ``threshold`` and ``temperature`` are those that were used."""

    path: str
    name: str
    sha256: str
    precision: str
    engine: str
    device: str
    threshold: float
    temperature: float


@dataclass(frozen=True, slots=True)
class DataFacts:
    """What it was measured on.

    Attributes:
        path: The folder, as the user named it.
        table_sha256: Hash of its table.
        split: Which part of it.
        made_by_code: Types of its synthetic forgeries; none where it has fakes of its own.
    """

    path: str
    table_sha256: str
    split: Split
    made_by_code: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Counts:
    """How many were measured; ``not_judged`` are videos for which the runtime gives no probability.

    ISO/IEC 30107-3 calls the shares of the latter the non-response rates of attacks and of bona fide presentations.
    """

    real_faces: int
    fake_faces: int
    real_videos: int
    fake_videos: int
    real_videos_not_judged: int
    fake_videos_not_judged: int


@dataclass(frozen=True, slots=True)
class VerdictCounts:
    """How many videos of one class got which verdict; those without an answer are inconclusive."""

    fake: int
    inconclusive: int
    real: int

    def shares(self) -> dict[str, float] | None:
        """Returns each as a share of all; None where there are none."""
        total = self.fake + self.inconclusive + self.real
        return {name: count / total for name, count in asdict(self).items()} if total else None


@dataclass(frozen=True, slots=True)
class SliceResult:
    """Figures of one group of videos.

    Attributes:
        kind: By what they were grouped.
        name: Which group it is.
        counts: Of this group.
        frames: Metrics over faces.
        videos: Metrics over videos.
        note: Why there is no AUC, or why its interval is wide; empty where nothing need be said.
        real_verdicts: Verdicts on the real videos, as ``tinydf-run`` gives them.
        fake_verdicts: On the forged ones.
    """

    kind: str
    name: str
    counts: Counts
    frames: Measures
    videos: Measures
    note: str
    real_verdicts: VerdictCounts
    fake_verdicts: VerdictCounts


@dataclass(frozen=True, slots=True)
class Rung:
    """Video-level AUC under one perturbation; None with one class alone."""

    kind: str
    level: int
    parameter: float
    unit: str
    auc: Estimate | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One model on one set.

    Attributes:
        whole: All videos.
        slices: Groups of them.
        robustness: The ladder, its first entry unchanged; empty where it was not asked for.
        failures: Pictures that could not be measured.
        notes: What a reader must know about these figures.
        scored: The scores themselves, for plots; no part of the JSON.
        judged: Verdict and score of each video; no part of the JSON.
    """

    model: ModelFacts
    data: DataFacts
    whole: SliceResult
    slices: tuple[SliceResult, ...]
    robustness: tuple[Rung, ...]
    failures: tuple[Failure, ...]
    notes: tuple[str, ...]
    scored: ScoredFaces
    judged: JudgedVideos

    def worst_method(self) -> SliceResult | None:
        """Returns the method with the highest APCER over videos, by which ISO/IEC 30107-3 judges a system."""
        methods = [(one.videos["apcer"], one) for one in self.slices if one.kind == "method"]
        known = [(figure.value, one) for figure, one in methods if figure is not None]
        return max(known, key=lambda pair: pair[0])[1] if known else None

    def one_face_each(self) -> bool:
        """Tells whether every video is one face, so that figures by frame say nothing of their own."""
        return len(self.scored.faces) == len(self.scored.videos)

    def to_dict(self) -> dict[str, Any]:
        """Returns lists, dicts, strings and numbers, as in the schema."""
        worst = self.worst_method()
        return {
            "model": asdict(self.model),
            "data": asdict(self.data) | {"made_by_code": list(self.data.made_by_code)},
            "whole": _slice(self.whole),
            "worst_method": None if worst is None else worst.name,
            "slices": [_slice(one) for one in self.slices],
            "robustness": [asdict(rung) | {"auc": _estimate(rung.auc)} for rung in self.robustness],
            "failures": [failure.reason for failure in self.failures],
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class Settings:
    """What the figures depend on besides model and data."""

    seed: int
    limit: int | None
    fitted_fpr: float | None = None


def matrix(evaluations: Sequence[Evaluation]) -> tuple[list[str], list[str], list[list[Estimate | None]]]:
    """Returns models, sets, and the video-level AUC of each model (row) on each set (column)."""
    models = list(dict.fromkeys(one.model.path for one in evaluations))
    sets = list(dict.fromkeys(one.data.path for one in evaluations))
    found = {(one.model.path, one.data.path): one.whole.videos["auc"] for one in evaluations}
    return models, sets, [[found.get((model, data)) for data in sets] for model in models]


def to_json(evaluations: Sequence[Evaluation], settings: Settings) -> str:
    """Returns the whole run as JSON that follows ``SCHEMA_FILE``."""
    models, sets, values = matrix(evaluations)
    report = {
        "schema": SCHEMA,
        "tool": {"name": "tinydf-evaluate", "version": __version__},
        "settings": asdict(settings)
        | {"resamplings": RESAMPLINGS, "interval": "95 %, bootstrap over videos", "video_rule": RULE},
        "matrix": {
            "metric": "video auc",
            "models": models,
            "data": sets,
            "values": [[_estimate(one) for one in row] for row in values],
        },
        "evaluations": [evaluation.to_dict() for evaluation in evaluations],
    }
    return json.dumps(report, indent=1, allow_nan=False) + "\n"


def set_name(data: DataFacts) -> str:
    """Returns a short name of a set for people, which says so where its forgeries are synthetic."""
    name = Path(data.path).resolve().name
    return f"{name} ({SYNTHETIC})" if data.made_by_code else name


def _slice(one: SliceResult) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "name": one.name,
        "counts": asdict(one.counts),
        "frames": _measures(one.frames),
        "videos": _measures(one.videos),
        "note": one.note,
        "real_verdicts": asdict(one.real_verdicts),
        "fake_verdicts": asdict(one.fake_verdicts),
    }


def _measures(measures: Measures) -> dict[str, Any]:
    return {name: _estimate(estimate) for name, estimate in measures.items()}


def _estimate(estimate: Estimate | None) -> dict[str, float] | None:
    return None if estimate is None else {name: round(value, 6) for name, value in asdict(estimate).items()}
