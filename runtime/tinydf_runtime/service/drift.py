"""Scores and quality of the people seen -> whether they are still like the first ones.

Compares histograms of the first ``WINDOW`` people with those of the last ones by the population stability index
(Siddiqi, Credit Risk Scorecards, 2006). It tells that something changed: other cameras, other people, other forgeries.
It does not tell what, nor whether verdicts got worse; that takes labelled clips and tinydf-evaluate.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Sequence
from math import log
from pathlib import Path
from statistics import fmean
from typing import Any

from tinydf_runtime.errors import UsageError
from tinydf_runtime.io.files import exists, write_atomically
from tinydf_runtime.results import InputReport, TrackReport
from tinydf_runtime.trust.reading import MOST_TEXT_BYTES, read_model_file

DRIFT_SCHEMA = "tinydf.drift/1"
WINDOW = 500
"""People on either side."""
LEAST_RECENT = 100
BINS = 10
"""Of 0..1, equally wide."""
LARGE = 0.25
"""From here on the index is by custom called a large shift."""
_CHANCE = 27.88
"""The 99.9 % quantile of chi-square with ``BINS`` - 1 degrees of freedom. Without drift the index times nm / (n + m) is
distributed like that (Yurdakul and Naranjo, 2020)."""
QUALITIES = ("sharpness", "inter_eye_distance", "over_exposure_prevention", "under_exposure_prevention")
WATCHED = ("fake_probability", *QUALITIES)


class DriftWatch:
    """Remembers bins of the first and of the last people; some kilobytes, however many there are."""

    def __init__(self, path: Path) -> None:
        """Resumes from a file, if there is one.

        Raises:
            UsageError: It holds something else.
        """
        self._path = path
        self._first: list[list[int]] = []
        self._recent: deque[list[int]] = deque(maxlen=WINDOW)
        if exists(path):
            try:
                self._read(json.loads(read_model_file(path, MOST_TEXT_BYTES)))
            # ModelFileError, of a device or a file without end, is a ValueError.
            except (ValueError, TypeError, LookupError, RecursionError) as error:
                raise UsageError(f"{path}: holds no drift record ({error}). Name another file.") from error

    def note(self, item: InputReport) -> None:
        """Takes the people of an input who were judged."""
        for track in item.tracks:
            values = _values(track)
            if values is None:
                continue
            bins = [min(int(value * BINS), BINS - 1) for value in values]
            if len(self._first) < WINDOW:
                self._first.append(bins)
            else:
                self._recent.append(bins)

    def indices(self) -> dict[str, float]:
        """Returns the stability index of each feature; empty before there are enough people."""
        if len(self._recent) < LEAST_RECENT:
            return {}
        return {
            name: round(_stability_index([bins[at] for bins in self._first], [bins[at] for bins in self._recent]), 4)
            for at, name in enumerate(WATCHED)
        }

    def shifted(self) -> dict[str, float]:
        """Returns the indices that are large, and larger than chance makes them once in a thousand."""
        if not (indices := self.indices()):
            return {}
        limit = max(LARGE, _CHANCE * (1 / len(self._first) + 1 / len(self._recent)))
        return {name: value for name, value in indices.items() if value > limit}

    def save(self) -> None:
        """Writes the record, whole or not at all.

        Raises:
            OutputError: It cannot be written.
        """
        record = {
            "schema": DRIFT_SCHEMA,
            "watched": WATCHED,
            "first": self._first,
            "recent": list(self._recent),
            "psi": self.indices(),
        }
        write_atomically(self._path, json.dumps(record).encode())

    def _read(self, record: dict[str, Any]) -> None:
        if record["schema"] != DRIFT_SCHEMA or tuple(record["watched"]) != WATCHED:
            raise ValueError(f"expected schema {DRIFT_SCHEMA}")
        for name, rows in (("first", self._first), ("recent", self._recent)):
            for bins in record[name][:WINDOW]:
                if len(bins) != len(WATCHED) or not all(type(at) is int and 0 <= at < BINS for at in bins):
                    raise ValueError("a row is out of range")
                rows.append(list(bins))


def _values(track: TrackReport) -> tuple[float, ...] | None:
    """Returns the monitored features of a person, 0..1 each; None if not judged or not measured."""
    qualities = [score.quality for score in track.scores if score.quality is not None]
    if track.fake_probability is None or not qualities:
        return None
    return (track.fake_probability, *(fmean(getattr(quality, name) for quality in qualities) for name in QUALITIES))


def _stability_index(first: Sequence[int], recent: Sequence[int]) -> float:
    """Returns the population stability index; half a person is added to each bin, so that none is empty."""
    total = 0.0
    counts = Counter(first), Counter(recent)
    for at in range(BINS):
        before = (counts[0][at] + 0.5) / (len(first) + BINS / 2)
        after = (counts[1][at] + 0.5) / (len(recent) + BINS / 2)
        total += (after - before) * log(after / before)
    return total
