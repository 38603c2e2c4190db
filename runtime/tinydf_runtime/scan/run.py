"""A whole scan: ledger, workers, listing, scoring, the files written from the ledger at its end, and its summary."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import chain
from pathlib import Path
from typing import Any

from tinydf_runtime.errors import TinyDFError, UnavailableError, UsageError, one_line
from tinydf_runtime.io.files import exists
from tinydf_runtime.machine import core_count
from tinydf_runtime.scan.coordinator import Coordinator, Plan, Tell
from tinydf_runtime.scan.database import locked, of_known_words, open_database, reported
from tinydf_runtime.scan.ledger import Counts, Ledger
from tinydf_runtime.scan.listing import Entry, list_media
from tinydf_runtime.scan.overview import write_overview
from tinydf_runtime.scan.parquet import write_parquet
from tinydf_runtime.scan.work import Facts, Settings, describe
from tinydf_runtime.scan.workers import LocalWorkers, Workers, connected


@dataclass(frozen=True, slots=True)
class Request:
    """Options of a scan.

    Attributes:
        folders: Folders, files and addresses of stores; none for what the ledger has left.
        ledger: SQLite file of results.
        settings: How a file is scored.
        workers: Processes of this machine, None for one a core.
        scheduler: Address of a Dask scheduler whose workers are used in their place.
        retries: How often a file is tried again whose worker failed.
        again: Try once more what could not be read.
        pages: Folder for each file's page, None for none.
        html: Overview to write.
        parquet: Table to write.
    """

    folders: tuple[str, ...]
    ledger: Path
    settings: Settings
    workers: int | None = None
    scheduler: str | None = None
    retries: int = 2
    again: bool = False
    pages: Path | None = None
    html: Path | None = None
    parquet: Path | None = None


def run_scan(request: Request, stop: threading.Event, tell: Tell) -> dict[str, Any]:
    """Does what is left to do, writes what was asked for, and returns the summary; see ``summarize_scan``.

    Args:
        request: What to do.
        stop: Ends the work early; what is done stays done.
        tell: Called with the progress.

    Raises:
        UsageError: There is nothing to scan, or the ledger is another scan's.
        TinyDFError: The networks, the cluster or a store cannot be used, or a file cannot be written.
    """
    entries = chain.from_iterable(list_media(folder) for folder in request.folders)
    first = next(entries, None)
    if first is None and not exists(request.ledger):
        raise UsageError(f"{', '.join(request.folders)}: holds no video or picture.")
    with locked(request.ledger), reported(request.ledger):
        database = open_database(request.ledger)
        try:
            ledger = Ledger(database)
            with of_known_words(request.ledger):
                ledger.check_states()
            _do_all(ledger, chain([] if first is None else [first], entries), request, stop, tell)
            ledger.recount()
            with of_known_words(request.ledger):
                if request.html is not None:
                    write_overview(database, ledger.counts, request.html, datetime.now(timezone.utc))
                if request.parquet is not None:
                    write_parquet(database, request.parquet)
                return summarize_scan(database, ledger.counts, request.ledger)
        finally:
            database.close()


def _do_all(ledger: Ledger, entries: Iterator[Entry], request: Request, stop: threading.Event, tell: Tell) -> None:
    """Starts the workers and runs the coordinator."""
    with _workers(request) as workers:
        facts = _describe(workers, request.settings)
        ledger.agree(dict(facts))
        ledger.forget_folders()
        if request.again:
            ledger.try_again()
        plan = Plan(request.settings, facts, request.retries, request.pages)
        Coordinator(ledger, workers, plan, tell).run(entries, stop)


def _describe(workers: Workers, settings: Settings) -> Facts:
    """Returns what results will depend on, from the first worker that has loaded the networks.

    Raises:
        TinyDFError: They cannot be loaded, or no worker can be started.
    """
    try:
        return workers.submit(describe, settings).result()
    except TinyDFError:
        raise
    except (CancelledError, Exception) as error:
        reason = one_line(error)
        raise UnavailableError(
            f"workers: none can load the networks ({reason}). Each needs this version of TinyDF and enough memory."
        ) from error


def _workers(request: Request) -> AbstractContextManager[Workers]:
    """Returns what runs the tasks."""
    if request.scheduler is None:
        return LocalWorkers(request.workers or core_count())
    return connected(request.scheduler, request.retries)


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
