"""Files -> ledger: lists, hashes and scores concurrently, each content once, until nothing is left to do.

All state is in the ledger; only running and upcoming tasks are kept here.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias

from tinydf_runtime.errors import ExitCode, TinyDFError, UnavailableError, one_line
from tinydf_runtime.io.files import write_atomically
from tinydf_runtime.scan.ledger import Counts, Ledger, Listed, Waiting
from tinydf_runtime.scan.listing import Entry
from tinydf_runtime.scan.work import Facts, Hashed, Scored, Settings, hash_file, score_file
from tinydf_runtime.scan.workers import Workers

Job: TypeAlias = Listed | Waiting
Tell: TypeAlias = Callable[[Counts, bool], None]
"""Called with the counts, and whether listing is complete."""
LISTED_AT_ONCE = 500
"""Files listed between two polls of the workers: some 10 ms."""
_READ_AT_ONCE = 256
"""Rows of the ledger that are queued in memory."""
_LOOK_S = 0.5
"""Poll interval of the stop flag, in seconds."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Settings of a scan.

    Attributes:
        settings: How a file is scored.
        facts: What all workers must score with.
        retries: How often a file whose worker failed is tried again.
        pages: Folder for the files' pages, None for none.
    """

    settings: Settings
    facts: Facts
    retries: int
    pages: Path | None


class Coordinator:
    """Hands files to workers and their results to the ledger."""

    def __init__(self, ledger: Ledger, workers: Workers, plan: Plan, tell: Tell) -> None:
        """Prepares a scan; nothing runs yet.

        Args:
            ledger: State of every file and content.
            workers: Where tasks run.
            plan: Settings of the scan.
            tell: Called after each change.
        """
        self._ledger, self._workers, self._plan, self._tell = ledger, workers, plan, tell
        self._done: SimpleQueue[tuple[Job, Future[Any]]] = SimpleQueue()
        self._running = 0
        self._hashing: deque[Listed] = deque()
        self._scoring: deque[Waiting] = deque()
        self._last_file = self._last_content = 0

    def run(self, entries: Iterator[Entry], stop: threading.Event) -> None:
        """Processes everything listed or left by an earlier scan; ends early when ``stop`` is set.

        Raises:
            UnavailableError: The cluster is gone.
            OutputError: A page cannot be written.
            sqlite3.Error: The ledger cannot.
        """
        listing = True
        while not stop.is_set():
            if listing:
                part = list(islice(entries, LISTED_AT_ONCE))
                listing = bool(part)
                self._ledger.add(part)
                if not listing:
                    self._ledger.recount()
            self._start_tasks()
            if not self._running and not listing and self._is_all_done():
                break
            self._settle_all(0.0 if listing else _LOOK_S)
            self._tell(self._ledger.counts, not listing)

    def _start_tasks(self) -> None:
        """Gives every free worker a task, scoring before hashing."""
        while self._workers.free > 0 and (job := self._next()) is not None:
            if isinstance(job, Waiting):
                future: Future[Any] = self._workers.submit(score_file, job.path, self._plan.settings, self._plan.facts)
            else:
                future = self._workers.submit(hash_file, job.path, self._plan.settings.max_seconds)
            self._running += 1
            future.add_done_callback(lambda done, job=job: self._done.put((job, done)))  # type: ignore[misc]

    def _next(self) -> Job | None:
        """Returns the next task, None if there is none now."""
        if not self._scoring:
            self._scoring += self._ledger.waiting_after(self._last_content, _READ_AT_ONCE)
            self._last_content = self._scoring[-1].content if self._scoring else self._last_content
        if self._scoring:
            return self._scoring.popleft()
        if not self._hashing:
            self._hashing += self._ledger.listed_after(self._last_file, _READ_AT_ONCE)
            self._last_file = self._hashing[-1].file if self._hashing else self._last_file
        return self._hashing.popleft() if self._hashing else None

    def _is_all_done(self) -> bool:
        """Returns whether the ledger holds nothing more to do, from its beginning: what failed comes after all others.

        Transient faults have likely passed by then.
        """
        self._last_file = self._last_content = 0
        job = self._next()
        if isinstance(job, Waiting):
            self._scoring.appendleft(job)
        elif job is not None:
            self._hashing.appendleft(job)
        return job is None

    def _settle_all(self, wait_s: float) -> None:
        """Records finished tasks, waiting for the first."""
        while self._running:
            try:
                job, future = self._done.get(timeout=wait_s) if wait_s else self._done.get_nowait()
            except Empty:
                return
            wait_s = 0.0
            self._running -= 1
            try:
                found = future.result()
            except (CancelledError, Exception) as error:
                self._note_failure(job, error)
                continue
            if isinstance(job, Waiting):
                self._note_scored(job, found)
            else:
                self._note_hashed(job, found)

    def _note_hashed(self, job: Listed, found: Hashed) -> None:
        if found.sha256 is None:
            self._ledger.unreadable(job.file, found.message or "unreadable")
        else:
            self._ledger.hashed(job.file, found.sha256)

    def _note_scored(self, job: Waiting, found: Scored) -> None:
        """Records a result, unless the file was changed or removed since it was hashed."""
        if found.sha256 == job.sha256:
            page = None if found.page is None else self._write_page(job.sha256, found.page)
            self._ledger.scored(job.content, found, page)
        elif self._ledger.note_failure("files", job.file) > self._plan.retries:
            self._ledger.unreadable(job.file, f"{job.path}: changes while it is read. Scan it again when it is done.")
        else:
            self._ledger.hash_again(job.file)

    def _note_failure(self, job: Job, error: BaseException) -> None:
        """Queues a file whose worker failed for a retry, or gives it up.

        Raises:
            UnavailableError: The cluster is gone.
        """
        if isinstance(error, CancelledError):
            raise UnavailableError("scheduler: has gone. What was done is kept; run the same command again to go on.")
        table, number = ("contents", job.content) if isinstance(job, Waiting) else ("files", job.file)
        failures = self._ledger.note_failure(table, number)
        if failures <= self._plan.retries and not self._workers.tries:
            return
        tries = "" if self._workers.tries else f" Given up after {failures} {'try' if failures == 1 else 'tries'}."
        message = f"{job.path}: {_words(error)}{tries}"
        if isinstance(job, Waiting):
            self._ledger.failed(job.content, message, int(getattr(error, "exit_code", ExitCode.INPUT)))
        else:
            self._ledger.unreadable(job.file, message)

    def _write_page(self, sha256: str, page: bytes) -> str:
        """Writes a page, and returns where."""
        assert self._plan.pages is not None
        path = self._plan.pages / sha256[:2] / f"{sha256}.html"
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, page)
        return str(path)


def _words(error: BaseException) -> str:
    """Returns what went wrong, as a sentence."""
    if isinstance(error, BrokenProcessPool):
        return "its worker ended without a word, perhaps for lack of memory."
    if isinstance(error, MemoryError):
        return "its worker had too little memory."
    text = one_line(error)
    return text if isinstance(error, TinyDFError) else f"{type(error).__name__}: {text}."
