"""The ledger's results -> one HTML page: counts, a histogram, and a table to be sorted and filtered in the browser."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from base64 import b64encode
from datetime import datetime, timezone
from html import escape
from pathlib import Path
from string import Template
from typing import Any, cast, get_args
from urllib.parse import quote

from tinydf_runtime.io.files import write_atomically
from tinydf_runtime.render.html.input import to_facts
from tinydf_runtime.render.html.page import TEMPLATES
from tinydf_runtime.render.html.person import pill
from tinydf_runtime.render.words import EVIDENCE_NOTE, printable, reason_words
from tinydf_runtime.results import InputVerdict
from tinydf_runtime.scan.ledger import Counts, from_cell
from tinydf_runtime.types import Reason

_FOLDER = Path(__file__).parent
MOST_JUDGED, MOST_OTHERS = 4000, 1000
"""Files in the table at most: those with the highest probability, and those without one. More would slow browsers
down."""
_COLUMNS = "path, verdict, fake_probability, people_judged, duration_s, reasons, message, page"
_VERDICTS: tuple[str, ...] = get_args(InputVerdict)


def write_overview(database: sqlite3.Connection, counts: Counts, path: Path, created: datetime) -> None:
    """Writes the page, whole or not at all.

    Args:
        database: The ledger's.
        counts: How far the scan is.
        path: File to write; links to the files' pages are relative to its folder.
        created: Time to date the page with, with its time zone.

    Raises:
        OutputError: The file cannot be written.
    """
    facts = dict(database.execute("SELECT name, value FROM facts"))
    verdicts = {verdict: files for verdict, files, _ in database.execute("SELECT * FROM verdicts")}
    script = (_FOLDER / "overview.js").read_text(encoding="utf-8")
    rows = _rows(database)
    unfinished = counts.files - counts.settled
    utc = created.astimezone(timezone.utc)
    page = Template((_FOLDER / "overview.html").read_text(encoding="utf-8")).substitute(
        version=escape(facts.get("tool_version", "")),
        title=escape(printable(path.stem)),
        style=(TEMPLATES / "page.css").read_text(encoding="utf-8"),
        script=script,
        script_hash=b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        created_iso=utc.isoformat(timespec="seconds"),
        created=f"{utc:%Y-%m-%d %H:%M} UTC",
        headline=f"{counts.files} {'file' if counts.files == 1 else 'files'}",
        counts="".join(
            f"<li><b>{verdicts[verdict]}</b>{pill(verdict)}</li>" for verdict in _VERDICTS if verdict in verdicts
        ),
        unfinished=f'<p class="note">{unfinished} more are still to be done.</p>' if unfinished else "",
        histogram=draw_histogram(database),
        left_out=_left_out(counts.settled - len(rows)),
        filters=" ".join(
            f'<label><input type="checkbox" value="{verdict}" checked> {pill(verdict)}</label>'
            for verdict in _VERDICTS
            if verdict in verdicts
        ),
        rows="\n".join(_row(row, path.parent) for row in rows),
        facts=to_facts([(name.replace("_", " "), value) for name, value in facts.items()]),
        note=EVIDENCE_NOTE,
    )
    write_atomically(path, page.encode("utf-8", "replace"))


def _rows(database: sqlite3.Connection) -> list[tuple[Any, ...]]:
    """Returns the files of the table: the most suspicious first, those without a probability last."""
    judged = database.execute(
        f"SELECT {_COLUMNS} FROM results WHERE fake_probability IS NOT NULL ORDER BY fake_probability DESC LIMIT ?",
        (MOST_JUDGED,),
    )
    others = database.execute(
        f"SELECT {_COLUMNS} FROM results WHERE verdict IS NOT NULL AND fake_probability IS NULL "
        "ORDER BY verdict LIMIT ?",
        (MOST_OTHERS,),
    )
    return [*judged, *others]


def _row(row: tuple[Any, ...], folder: Path) -> str:
    """Returns one file as a row. Names and messages are untrusted, and escaped."""
    path, verdict, probability, people, duration_s, reasons, message, page = row
    name = escape(printable(from_cell(path)))
    if page is not None:
        address = quote(os.path.relpath(page, folder.resolve()).replace(os.sep, "/"))
        name = f'<a href="{address}">{name}</a>'
    why = message or reason_words(cast(tuple[Reason, ...], tuple((reasons or "").split())))
    return (
        f'<tr data-verdict="{verdict}"><th scope="row">{name}</th><td>{pill(verdict)}</td>'
        f"{_number(probability, '.1%')}{_number(people, 'd', 'wide')}{_number(duration_s, '.1f', 'wide')}"
        f'<td class="why">{escape(printable(why))}</td></tr>'
    )


def _number(value: float | None, shape: str, more: str = "") -> str:
    """Returns a cell that is sorted by its number, and shows it in a shape."""
    shown = "" if value is None else format(value, shape)
    return f'<td class="n {more}" data-value="{"" if value is None else value}">{shown}</td>'


def _left_out(count: int) -> str:
    if count <= 0:
        return ""
    return f'<p class="note">{count} files with lower scores are not in this table; they are in the ledger.</p>'


_BINS = 20
_WIDTH, _HEIGHT, _FOOT, _HEAD = 640, 160, 18, 14


def draw_histogram(database: sqlite3.Connection) -> str:
    """Returns a bar a twentieth, with its count above it; a sentence where nothing was judged."""
    counts = [dict.fromkeys(("real", "inconclusive", "fake"), 0) for _ in range(_BINS)]
    for start, verdict, contents in database.execute("SELECT * FROM histogram"):
        counts[round(start * _BINS)][verdict] += contents
    most = max(sum(one.values()) for one in counts)
    if not most:
        return '<p class="note">Nothing was judged yet.</p>'
    width, room = _WIDTH / _BINS, _HEIGHT - _FOOT - _HEAD
    parts = []
    for place, one in enumerate(counts):
        left, bottom = place * width + 1, float(_HEIGHT - _FOOT)
        for verdict, count in one.items():
            height = room * count / most
            bottom -= height
            if count:
                words = f"{count} {verdict}, {place / _BINS:.0%} to {(place + 1) / _BINS:.0%}"
                parts.append(
                    f'<rect class="{verdict}" x="{left:.1f}" y="{bottom:.1f}" width="{width - 2:.1f}" '
                    f'height="{height:.1f}"><title>{words}</title></rect>'
                )
        if total := sum(one.values()):
            parts.append(
                f'<text x="{left + width / 2 - 1:.1f}" y="{bottom - 3:.1f}" text-anchor="middle">{total}</text>'
            )
    for share, anchor in ((0, "start"), (0.25, "middle"), (0.5, "middle"), (0.75, "middle"), (1, "end")):
        parts.append(f'<text x="{share * _WIDTH:.0f}" y="{_HEIGHT - 4}" text-anchor="{anchor}">{share:.0%}</text>')
    line = f'<line x1="0" y1="{_HEIGHT - _FOOT}" x2="{_WIDTH}" y2="{_HEIGHT - _FOOT}"/>'
    return (
        f'<svg class="histogram" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="Number of contents by fake probability">{line}{"".join(parts)}</svg>'
    )
