"""The ledger -> what a scan says at its end, in words and as JSON."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

from tinydf_runtime.scan.ledger import Counts

SCHEMA = "tinydf.scan/1"


def summarize_scan(database: sqlite3.Connection, counts: Counts, ledger: Path) -> dict[str, Any]:
    """Returns how many files and contents got which verdict."""
    facts = dict(database.execute("SELECT name, value FROM facts"))
    verdicts = list(database.execute("SELECT * FROM verdicts"))
    duplicates = database.execute("SELECT coalesce(sum(files - 1), 0) FROM duplicates").fetchone()[0]
    return {
        "schema": SCHEMA,
        "ledger": str(ledger),
        "facts": facts,
        "files": counts.files,
        "files_to_do": counts.files - counts.settled,
        "files_not_or_partly_read": counts.failed,
        "duplicates": duplicates,
        "contents": sum(contents for _, _, contents in verdicts),
        "verdicts": {verdict: files for verdict, files, _ in verdicts},
    }


def summary_json(summary: dict[str, Any]) -> str:
    """Returns the summary as JSON."""
    return json.dumps(summary, indent=1) + "\n"


def summary_lines(summary: dict[str, Any]) -> list[str]:
    """Returns the summary as lines for people."""
    parts = [f"{count} {verdict.replace('_', ' ')}" for verdict, count in summary["verdicts"].items()]
    to_do, duplicates = summary["files_to_do"], summary["duplicates"]
    parts += [f"{to_do} still to do"] if to_do else []
    files = f"{summary['files']} {'file' if summary['files'] == 1 else 'files'}"
    same = f" ({duplicates} of them the same as another)" if duplicates else ""
    partly = summary["files_not_or_partly_read"]
    return [
        f"{files}{same}: {', '.join(parts) or 'nothing done'}",
        *([f"{partly} could not be read, or only in part: SELECT * FROM errors"] if partly else []),
        f"{summary['ledger']}: SELECT * FROM results",
    ]
