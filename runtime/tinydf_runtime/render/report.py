"""Report -> JSON and CSV files; a stream's results -> JSON, one line each, for programs."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

from tinydf_runtime.io.address import mask_credentials
from tinydf_runtime.io.files import write_atomically
from tinydf_runtime.render.words import as_cell
from tinydf_runtime.results import FrameResult, Rarity, Report, ScoredFace

SCHEMA_FILE = Path(__file__).parents[1] / "schema" / "report.schema.json"
"""JSON Schema of ``tinydf.report/1``."""

CSV_COLUMNS = (
    "path",
    "track",
    "time_s",
    "frame",
    "left_px",
    "top_px",
    "right_px",
    "bottom_px",
    "detection_score",
    "fake_probability",
    "track_verdict",
    "track_fake_probability",
    "input_verdict",
    "input_fake_probability",
    "track_interval_low",
    "track_interval_high",
    "track_rarity",
    "input_interval_low",
    "input_interval_high",
    "input_rarity",
    "input_fake_threshold",
)


def _certainty(interval: tuple[float, float] | None, rarity: Rarity | None) -> tuple[float | None, ...]:
    """Returns the ends of an interval and the share of real people who score as high, empty where not known."""
    return (*(interval or (None, None)), None if rarity is None else rarity.share)


def report_json(report: Report, timing: bool = True) -> str:
    """Returns a report as JSON that follows ``SCHEMA_FILE``, keys in the schema's order.

    Args:
        report: What was found.
        timing: Say how long each step took; else ``timing`` is null, and the same input gives the same bytes.
    """
    values = report.to_dict()
    for item in () if timing else values["inputs"]:
        item["timing"] = None
    return json.dumps(values, indent=1, allow_nan=False) + "\n"


def report_csv(report: Report) -> str:
    """Returns one row a scored face, under a row of ``CSV_COLUMNS``; times are in seconds.

    A path that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(CSV_COLUMNS)
    for item in report.inputs:
        of_input = (*_certainty(item.interval, item.rarity), item.fake_threshold)
        for track in item.tracks:
            of_track = _certainty(track.interval, track.rarity)
            rows.writerows(
                (
                    as_cell(item.path),
                    track.id,
                    score.time_s,
                    score.frame,
                    *score.box_xyxy,
                    score.detection_score,
                    score.fake_probability,
                    track.verdict,
                    track.fake_probability,
                    item.verdict,
                    item.fake_probability,
                    *of_track,
                    *of_input,
                )
                for score in track.scores
            )
    return text.getvalue()


def write_json(report: Report, path: Path, timing: bool = True) -> None:
    """Writes a report as JSON, whole or not at all; see ``report_json``.

    Raises:
        OutputError: The file cannot be written.
    """
    write_atomically(path, report_json(report, timing).encode())


def write_csv(report: Report, path: Path) -> None:
    """Writes a report's scored faces as CSV, whole or not at all.

    Raises:
        OutputError: The file cannot be written.
    """
    # File names need not be valid Unicode; their bytes are kept.
    write_atomically(path, report_csv(report).encode("utf-8", "surrogateescape"))


FRAME_RESULT_SCHEMA = "tinydf.moment/1"
FRAME_RESULT_SCHEMA_FILE = Path(__file__).parents[1] / "schema" / "moment.schema.json"
"""JSON Schema of ``tinydf.moment/1``."""


def frame_result_line(result: FrameResult, source: str | int) -> str:
    """Returns the result of one frame as one line of JSON that follows ``FRAME_RESULT_SCHEMA_FILE``, with its line end.

    Args:
        result: What to tell; its picture and forgery maps are left out.
        source: Where it comes from; passwords are masked.
    """
    latency_s = result.latency_s
    values = {
        "schema": FRAME_RESULT_SCHEMA,
        "source": mask_credentials(source),
        "time_s": round(result.frame.time_s, 3),
        "frame": result.frame.index,
        "width": result.frame.image.shape[1],
        "height": result.frame.image.shape[0],
        "latency_ms": None if latency_s is None else round(1000 * latency_s, 1),
        "frames_dropped": result.frames_dropped,
        "faces": [_face(face) for face in result.faces],
    }
    return json.dumps(values, allow_nan=False) + "\n"


def report_line(report: Report) -> str:
    """Returns a report as one line of JSON, with its line end."""
    return json.dumps(report.to_dict(), allow_nan=False) + "\n"


def _face(scored: ScoredFace) -> dict[str, Any]:
    """Returns the JSON object of a face."""
    verdict = scored.verdict
    return {
        "track": scored.track,
        "box_xyxy": [round(float(value), 2) for value in scored.face.box_xyxy],
        "landmarks": [[round(float(x), 2), round(float(y), 2)] for x, y in scored.face.landmarks],
        "detection_score": round(min(max(float(scored.face.score), 0.0), 1.0), 6),
        "fake_probability": scored.fake_probability,
        "track_verdict": verdict.label,
        "track_fake_probability": verdict.fake_probability,
        "reasons": list(verdict.reasons),
        "faces_used": verdict.faces_used,
    }
