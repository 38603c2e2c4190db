"""One line of a benchmark's table, and the size of a model's files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Row:
    """One model in one engine, at one number of threads and one batch size.

    Attributes:
        model: File name.
        engine: The library that computes.
        precision: Of the weights, as the model says.
        device: Where it computes.
        threads: Of the engine, None for its own choice.
        batch: Crops scored at once.
        size_bytes: Of the model's files.
        load_ms: From nothing loaded to the first score, in a fresh process, without Python's start.
        peak_bytes: The most memory that this process held; None where the system does not say.
        p50_ms: Median time of a call.
        p95_ms: What 95 % of calls stay below.
        min_ms: Shortest call, the least disturbed by other programs.
        faces_per_s: Crops a second at the median.
        crops: Crops that the differences are from.
        mean_difference: Mean difference in fake probability from the first model.
        max_difference: The largest.
        flipped: Share of crops that fall on the other side of the first model's threshold.
        auc: On labelled crops; None without any.
        missing: Why there are no figures, and what to do; empty where there are.
    """

    model: str
    engine: str
    precision: str = ""
    device: str = ""
    threads: int | None = None
    batch: int = 0
    size_bytes: int = 0
    load_ms: float | None = None
    peak_bytes: int | None = None
    p50_ms: float | None = None
    p95_ms: float | None = None
    min_ms: float | None = None
    faces_per_s: float | None = None
    crops: int = 0
    mean_difference: float | None = None
    max_difference: float | None = None
    flipped: float | None = None
    auc: float | None = None
    missing: str = ""


def measure_size(path: Path) -> int:
    """Returns the bytes of all files that a model needs: a folder's, or a pair's."""
    if path.is_dir():
        return sum(one.stat().st_size for one in path.rglob("*") if one.is_file())
    beside = {".xml": path.with_suffix(".bin"), ".plan": path.with_name(f"{path.name}.json")}.get(path.suffix.lower())
    return path.stat().st_size + (beside.stat().st_size if beside is not None and beside.exists() else 0)
