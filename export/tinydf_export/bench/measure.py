"""Model files -> size, speed and agreement of each, timed in turns so that other load affects all alike."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydf_calibration.agreement import auc, compare_verdicts
from tinydf_calibration.sampler import LabelledCrops
from tinydf_export.bench.fresh_process import measure_fresh
from tinydf_export.bench.row import Row, measure_size
from tinydf_export.parity.golden import decode_crops
from tinydf_runtime.engines.engine import ENGINES, FileEngine, find_engine, resolve_device
from tinydf_runtime.engines.loading import load_engine
from tinydf_runtime.errors import MissingExtraError, UnavailableError, needs
from tinydf_runtime.types import OnProgress

WARM_CALLS = 1
CALLS = 3
"""Timed calls per turn; one untimed call before them warms the caches."""


@dataclass(frozen=True, slots=True)
class _Contender:
    """An open engine and the row that it fills."""

    row: Row
    path: Path
    engine: FileEngine


def bench_models(
    models: Sequence[Path],
    *,
    device: str,
    threads: Sequence[int | None],
    batches: Sequence[int],
    turns: int,
    labelled: LabelledCrops | None = None,
    report: OnProgress = lambda done, total: None,
    stop: threading.Event | None = None,
) -> tuple[Row, ...]:
    """Measures every model with every number of threads and batch size.

    Args:
        models: Files; the others are compared with the first.
        device: As ``load_engine`` takes it.
        threads: Numbers of threads, None for the engine's choice.
        batches: Numbers of crops scored at once.
        turns: Turns of each row.
        labelled: Crops to compare on; the first model's golden crops without.
        report: Called with the steps done and their total.
        stop: Once set, no further turn begins; rows hold the latencies measured by then, and nothing else is measured.

    Returns:
        One row each, also for models whose engine or device is missing; then one for each other missing engine.

    Raises:
        TinyDFError: A model cannot be read.
    """
    contenders, missing = _open_all(models, device, threads, batches)
    steps, done = len(contenders) * (turns + 2), 0

    def step() -> None:
        nonlocal done
        done += 1
        report(done, steps)

    if not contenders:
        return (*missing, *_absent_engines(missing))
    crops = _comparison_crops(contenders[0], labelled)
    timings: list[list[float]] = [[] for _ in contenders]
    for contender, calls in list(zip(contenders, timings, strict=True)) * turns:
        if stop is not None and stop.is_set():
            break
        calls.extend(_time_calls(contender, crops))
        step()
    first: NDArray[np.float32] | None = None
    found: dict[tuple[Path, int | None], NDArray[np.float32]] = {}
    rows = []
    for contender, calls in zip(contenders, timings, strict=True):
        if stop is not None and stop.is_set():
            rows += [replace(contender.row, **_latency(calls, contender))] if calls else []
            continue
        key = (contender.path, contender.row.threads)
        if key not in found:
            found[key] = contender.engine.score(crops).fake_probability
        first = found[key] if first is None else first
        step()
        fresh = measure_fresh(contender.path, contender.row.device, contender.row.threads, contender.row.batch)
        step()
        compared = _compare(first, found[key], labelled, contenders[0].engine.spec.threshold)
        figures = {**_latency(calls, contender), **compared, "crops": len(crops)}
        rows.append(replace(contender.row, load_ms=fresh.load_ms, peak_bytes=fresh.peak_bytes, **figures))
    return (*rows, *missing, *_absent_engines([*rows, *missing]))


def _open_all(
    models: Sequence[Path], device: str, threads: Sequence[int | None], batches: Sequence[int]
) -> tuple[list[_Contender], list[Row]]:
    """Opens every model once for each number of threads; models whose engine is not there become rows at once."""
    contenders: list[_Contender] = []
    missing: list[Row] = []
    for path, count in [(model, count) for model in models for count in _thread_counts(model, threads)]:
        name = _engine_name(path.suffix.lower())
        try:
            engine = load_engine(path, device, count)
        except (MissingExtraError, UnavailableError) as error:
            if not any(row.model == path.name for row in missing):
                place = resolve_device(path, device)
                missing.append(Row(path.name, name, device=place, missing=str(error)))
            continue
        row = Row(path.name, engine.name, engine.spec.precision, engine.device, count, size_bytes=measure_size(path))
        contenders.extend(_Contender(replace(row, batch=batch), path, engine) for batch in batches)
    return contenders, missing


def _thread_counts(path: Path, threads: Sequence[int | None]) -> Sequence[int | None]:
    return threads if find_engine(path).takes_threads else (None,)


def _comparison_crops(first: _Contender, labelled: LabelledCrops | None) -> NDArray[np.uint8]:
    """Returns labelled crops, else the first model's golden ones, else noise, which serves for timing alone."""
    spec = first.engine.spec
    if labelled is not None:
        return labelled.crops
    if first.engine.golden_text is not None:
        return decode_crops(first.engine.golden_text, spec, first.row.model)
    side_px = spec.crop.side_px
    return np.random.default_rng(0).integers(0, 256, (4, side_px, side_px, 3), np.uint8)


def _time_calls(contender: _Contender, crops: NDArray[np.uint8]) -> list[float]:
    """Returns the milliseconds of some calls in a row."""
    batch = crops[np.arange(contender.row.batch) % len(crops)]
    for _ in range(WARM_CALLS):
        contender.engine.score(batch)
    calls = []
    for _ in range(CALLS):
        started = time.perf_counter()
        contender.engine.score(batch)
        calls.append((time.perf_counter() - started) * 1e3)
    return calls


def _latency(calls: list[float], contender: _Contender) -> dict[str, Any]:
    p50_ms, p95_ms = (float(value) for value in np.percentile(calls, (50, 95)))
    return {
        "p50_ms": p50_ms,
        "p95_ms": p95_ms,
        "min_ms": min(calls),
        "faces_per_s": contender.row.batch / p50_ms * 1e3,
    }


def _compare(
    first: NDArray[np.float32], found: NDArray[np.float32], labelled: LabelledCrops | None, threshold: float
) -> dict[str, Any]:
    forged = np.zeros(len(first), bool) if labelled is None else labelled.forged
    cluster = np.arange(len(first)) if labelled is None else labelled.cluster
    agreement = compare_verdicts(first, found, forged, cluster, threshold)
    return {
        "mean_difference": agreement.mean_difference,
        "max_difference": agreement.max_difference,
        "flipped": agreement.flipped,
        "auc": auc(found, forged),
    }


def _absent_engines(rows: Sequence[Row]) -> list[Row]:
    """Returns a row for each engine that no row is about and that cannot be loaded here."""
    absent = []
    for row in ENGINES.values():
        name = row.module.removesuffix("_engine")
        if any(known.engine == name for known in rows):
            continue
        try:
            with needs(row.extra):
                import_module(f"tinydf_runtime.engines.{row.module}")
        except (MissingExtraError, UnavailableError) as error:
            absent.append(Row("", name, missing=str(error)))
    return absent


def _engine_name(ending: str) -> str:
    """Returns the engine of a file's ending, as reports name it."""
    return ENGINES[ending].module.removesuffix("_engine") if ending in ENGINES else ""
