"""How a call ended and what it reported -> what of that was not promised."""

from __future__ import annotations

import json
import math
import signal
from pathlib import Path
from typing import Any

from fuzzing.case import Written
from fuzzing.process import Ended

PEAK_MB = 2048
"""Memory that the main process may take, shared pictures included: a picture of 2^28 pixels is 768 MB."""
ITEM_S = 60
"""Wall clock that one input may take."""
_PERSON_VERDICTS = ("real", "fake", "inconclusive")


def complaint(ended: Ended, codes: tuple[int, ...]) -> str | None:
    """Returns what is wrong with how a call ended, None where it kept its promises."""
    if ended.code is None:
        return f"hangs: killed after {ended.wall_s:.0f} s"
    if ended.code < 0:
        return f"crashes: {signal.Signals(-ended.code).name}"
    lines = [line for line in ended.printed.splitlines() if line.strip()]
    if "Traceback (most recent call last)" in ended.printed:
        return f"traceback: {lines[-1][:200]}"
    if ended.code not in codes:
        return f"exit {ended.code}, promised {codes}: {lines[-1][:200] if lines else 'silent'}"
    if noise := [line for line in lines if not line.startswith("tinydf-")]:
        return f"prints more than its own lines: {noise[0][:200]}"
    if ended.code and not lines:
        return f"exit {ended.code} without a word"
    if ended.peak_mb > PEAK_MB:
        return f"takes {ended.peak_mb:.0f} MB"
    return None


def read_report(path: Path) -> dict[str, Any] | None:
    """Returns a report, None where none was written.

    Raises:
        ValueError: It is no strict JSON.
    """

    def refuse(word: str) -> None:
        raise ValueError(f"{word} in the report")

    if not path.exists():
        return None
    found: dict[str, Any] = json.loads(path.read_text(), parse_constant=refuse)
    return found


def item_complaint(item: dict[str, Any], case: Written) -> str | None:
    """Returns what is wrong with one input's part of a report."""
    status, verdict, scored = item["status"], item["verdict"], item["frames_scored"] or 0
    if status in ("unreadable",) and verdict != "error":
        return f"{status}, and still called {verdict}"
    if (verdict == "error") != (item["message"] is not None) or "\n" in (item["message"] or ""):
        return f"{verdict} with the message {item['message']!r}"
    if verdict in (*_PERSON_VERDICTS, "no_face") and not scored:
        return f"{verdict} from no picture"
    if verdict in _PERSON_VERDICTS and not any(track["scores"] for track in item["tracks"]):
        return f"{verdict} from no face"
    if verdict == "inconclusive" and not item["reasons"]:
        return "inconclusive without a reason"
    if verdict in ("real", "fake") and not any(track["faces_used"] for track in item["tracks"]):
        return f"{verdict} from no face that counts"
    if verdict in ("error", "no_face") and item["fake_probability"] is not None:
        return f"{verdict} with a probability"
    if case.codes == (5,) and status not in ("unreadable", "timeout"):
        return f"{status} and {verdict}, expected unreadable"
    if item["timing"]["total_s"] > ITEM_S:
        return f"takes {item['timing']['total_s']:.0f} s"
    return _odd_number(item)


def _odd_number(item: dict[str, Any]) -> str | None:
    """Returns which probability is none."""
    scores = [score for track in item["tracks"] for score in track["scores"]]
    for one in (item, *item["tracks"], *scores):
        value = one["fake_probability"]
        if value is not None and not (math.isfinite(value) and 0 <= value <= 1):
            return f"fake probability {value}"
    return None
