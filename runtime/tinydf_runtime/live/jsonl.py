"""Live moments -> JSON, one line each, for programs that read along."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from tinydf_runtime.errors import OutputError
from tinydf_runtime.io.address import mask_credentials
from tinydf_runtime.results import Report
from tinydf_runtime.types import Moment, ScoredFace

MOMENT_SCHEMA = "tinydf.moment/1"
MOMENT_SCHEMA_FILE = Path(__file__).parents[1] / "schema" / "moment.schema.json"
"""JSON Schema of ``tinydf.moment/1``."""


def moment_line(moment: Moment, source: str | int) -> str:
    """Returns a moment as one line of JSON that follows ``MOMENT_SCHEMA_FILE``, with its line end.

    Args:
        moment: What to tell; its picture and forgery maps are left out.
        source: Where it comes from; passwords are masked.
    """
    latency_s = moment.latency_s
    values = {
        "schema": MOMENT_SCHEMA,
        "source": mask_credentials(source),
        "time_s": round(moment.frame.time_s, 3),
        "frame": moment.frame.index,
        "width": moment.frame.image.shape[1],
        "height": moment.frame.image.shape[0],
        "latency_ms": None if latency_s is None else round(1000 * latency_s, 1),
        "frames_dropped": moment.frames_dropped,
        "faces": [_face(face) for face in moment.faces],
    }
    return json.dumps(values, allow_nan=False) + "\n"


def report_line(report: Report) -> str:
    """Returns a report as one line of JSON, with its line end."""
    return json.dumps(report.to_dict(), allow_nan=False) + "\n"


def print_line(line: str) -> None:
    """Prints a line at once.

    Raises:
        OutputError: The pipe was closed.
    """
    try:
        click.echo(line, nl=False)
    except BrokenPipeError as error:
        # Else Python would complain once more when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise OutputError("standard output: was closed by its reader.") from error


def _face(scored: ScoredFace) -> dict[str, Any]:
    """Returns what is told of a face."""
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
