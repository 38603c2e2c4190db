"""The ledger's queries and updates: files and contents to do, their results, and progress."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import datetime, timezone

from tinydf_runtime.errors import ExitCode, UsageError
from tinydf_runtime.render.words import printable
from tinydf_runtime.scan.database import transaction
from tinydf_runtime.scan.listing import Entry
from tinydf_runtime.scan.work import Result, Scored

_COLUMNS = tuple(one.name for one in fields(Result))


@dataclass(frozen=True, slots=True)
class Listed:
    """A file whose content is not known yet."""

    file: int
    path: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A content that is to be scored, with one of the files that hold it."""

    content: int
    sha256: str
    file: int
    path: str


@dataclass(slots=True)
class Counts:
    """How far the work is.

    Attributes:
        files: How many there are.
        settled: How many of them are scored, or given up with a reason.
        failed: How many of these could not be read, or only in part.
    """

    files: int = 0
    settled: int = 0
    failed: int = 0


class Ledger:
    """Remembers every file and content. One thread uses it; others may read the database meanwhile.

    Attributes:
        counts: How far the work is, kept up to date from ``recount`` on: to count millions takes seconds.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        """Takes an open database; see ``open_database``."""
        self._database = database
        self.counts = Counts()

    def recount(self) -> None:
        """Recounts all files; needed after ``add`` and ``try_again``."""
        row = self._database.execute(
            "SELECT count(*), count(verdict), count(CASE WHEN exit_code <> 0 THEN 1 END) FROM results"
        ).fetchone()
        self.counts = Counts(*row)

    def check_states(self) -> None:
        """Checks that each file and content is in a state from which the work goes on, or ends.

        Raises:
            ValueError: One is in none: SQLite checks what is written, unless the writer turned that off.
        """
        row = self._database.execute(
            "SELECT state FROM files WHERE state NOT IN ('listed', 'hashed', 'unreadable') UNION ALL "
            "SELECT state FROM contents WHERE state NOT IN ('waiting', 'done', 'failed') LIMIT 1"
        ).fetchone()
        if row is not None:
            raise ValueError(f"the state {row[0]!r}")

    def agree(self, facts: dict[str, str]) -> None:
        """Records what results depend on, or checks that it equals what earlier results depended on.

        Args:
            facts: Version, hashes of the networks, threshold and the like, as text.

        Raises:
            UsageError: Something differs.
        """
        before = dict(self._database.execute("SELECT name, value FROM facts"))
        for name, value in facts.items():
            if before.get(name, value) != value:
                raise UsageError(
                    f"ledger: its results were made with {name} {before[name]}, this run has {value}. Results of both "
                    "cannot be compared: take the same again, or another --out."
                )
        with transaction(self._database):
            self._database.executemany("INSERT OR IGNORE INTO facts VALUES (?, ?)", facts.items())

    def add(self, entries: Iterable[Entry]) -> None:
        """Records files. Known ones keep their results unless size or date changed; folders are read each time."""
        rows = [(to_cell(one.path), one.version, one.size_bytes, one.message) for one in entries]
        with transaction(self._database):
            self._database.executemany(
                """
                INSERT INTO files (path, version, size_bytes, state, message)
                VALUES (?1, ?2, ?3, iif(?4 IS NULL, 'listed', 'unreadable'), ?4)
                ON CONFLICT (path) DO UPDATE SET version = ?2, size_bytes = ?3, failures = 0, content = NULL,
                    state = iif(?4 IS NULL, 'listed', 'unreadable'), message = ?4
                WHERE version <> ?2
                """,
                rows,
            )

    def forget_folders(self) -> None:
        """Forgets which folders could not be read, so that they are listed again."""
        with transaction(self._database):
            self._database.execute("DELETE FROM files WHERE version = ''")

    def try_again(self) -> None:
        """Queues again what could not be read, or only in part, and what was given up."""
        with transaction(self._database):
            self._database.execute(
                "UPDATE files SET state = 'listed', failures = 0, message = NULL WHERE state = 'unreadable'"
            )
            self._database.execute(
                "UPDATE contents SET state = 'waiting', failures = 0, verdict = NULL, exit_code = NULL "
                "WHERE state = 'failed' OR exit_code <> 0"
            )

    def listed_after(self, file: int, most: int) -> list[Listed]:
        """Returns files to be hashed whose id is above one given, in their order."""
        rows = self._database.execute(
            "SELECT id, path FROM files WHERE state = 'listed' AND id > ? ORDER BY id LIMIT ?", (file, most)
        )
        return [Listed(number, from_cell(path)) for number, path in rows]

    def waiting_after(self, content: int, most: int) -> list[Waiting]:
        """Returns contents to be scored whose id is above one given, in their order."""
        rows = self._database.execute(
            """
            SELECT contents.id, sha256, min(files.id), path FROM contents JOIN files ON files.content = contents.id
            WHERE contents.state = 'waiting' AND contents.id > ? GROUP BY contents.id ORDER BY contents.id LIMIT ?
            """,
            (content, most),
        )
        return [Waiting(number, sha256, file, from_cell(path)) for number, sha256, file, path in rows]

    def hashed(self, file: int, sha256: str) -> None:
        """Notes a file's content; one that was not known before waits to be scored."""
        with transaction(self._database):
            self._database.execute("INSERT OR IGNORE INTO contents (sha256) VALUES (?)", (sha256,))
            self._database.execute(
                "UPDATE files SET state = 'hashed', content = (SELECT id FROM contents WHERE sha256 = ?) WHERE id = ?",
                (sha256, file),
            )
        row = self._database.execute("SELECT verdict, exit_code FROM contents WHERE sha256 = ?", (sha256,)).fetchone()
        if row[0] is not None:
            self._count(1, row[1])

    def unreadable(self, file: int, message: str) -> None:
        """Notes why a file's bytes cannot be read."""
        with transaction(self._database):
            self._database.execute(
                "UPDATE files SET state = 'unreadable', content = NULL, message = ? WHERE id = ?",
                (_to_text(message), file),
            )
        self._count(1, int(ExitCode.INPUT))

    def scored(self, content: int, found: Scored, page: str | None) -> None:
        """Notes what was found in a content, all of it at once.

        Args:
            content: Its id.
            found: What a worker found.
            page: Where its page lies, None without one.
        """
        names = ", ".join(f"{name} = ?" for name in _COLUMNS)
        with transaction(self._database):
            self._database.execute(
                f"UPDATE contents SET state = 'done', times_scored = times_scored + 1, {names}, page = ?, "
                "finished_utc = ? WHERE id = ?",
                (*(_to_text(one) for one in astuple(found.result)), page, _now(), content),
            )
            self._replace("people", content, found.people)
            self._replace("segments", content, found.segments)
        self._count(self._files_of(content), found.result.exit_code)

    def failed(self, content: int, message: str, exit_code: int) -> None:
        """Marks a content as failed: it is tried again only on request."""
        with transaction(self._database):
            self._database.execute(
                "UPDATE contents SET state = 'failed', verdict = 'error', status = 'unreadable', message = ?, "
                "exit_code = ?, reasons = 'unreadable', finished_utc = ? WHERE id = ?",
                (_to_text(message), exit_code, _now(), content),
            )
        self._count(self._files_of(content), exit_code)

    def note_failure(self, table: str, number: int) -> int:
        """Counts a try that failed and returns how many did so far; see ``files`` and ``contents``."""
        assert table in ("files", "contents")
        with transaction(self._database):
            self._database.execute(f"UPDATE {table} SET failures = failures + 1 WHERE id = ?", (number,))
        return int(self._database.execute(f"SELECT failures FROM {table} WHERE id = ?", (number,)).fetchone()[0])

    def hash_again(self, file: int) -> None:
        """Queues a changed file for hashing again. A content that no file holds any more is deleted."""
        with transaction(self._database):
            row = self._database.execute("SELECT content FROM files WHERE id = ?", (file,)).fetchone()
            self._database.execute("UPDATE files SET state = 'listed', content = NULL WHERE id = ?", (file,))
            self._database.execute(
                "DELETE FROM contents WHERE id = ? AND state = 'waiting' AND id NOT IN (SELECT content FROM files "
                "WHERE content IS NOT NULL)",
                row,
            )

    def _files_of(self, content: int) -> int:
        """Returns how many files hold a content."""
        return int(self._database.execute("SELECT count(*) FROM files WHERE content = ?", (content,)).fetchone()[0])

    def _count(self, files: int, exit_code: int) -> None:
        """Counts files as settled."""
        self.counts.settled += files
        self.counts.failed += files if exit_code else 0

    def _replace(self, table: str, content: int, rows: Sequence[tuple[object, ...]]) -> None:
        """Replaces the rows that an earlier try left for a content."""
        self._database.execute(f"DELETE FROM {table} WHERE content = ?", (content,))
        for row in rows:
            marks = ", ".join("?" * (1 + len(row)))
            self._database.execute(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", (content, *row))


def to_cell(path: str) -> str | bytes:
    """Returns a path as SQLite takes it: as its bytes where it is no valid Unicode."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return os.fsencode(path)
    return path


def from_cell(cell: str | bytes) -> str:
    """Returns a path as Python's functions take it."""
    return os.fsdecode(cell)


def _to_text(value: object) -> object:
    """Returns a value as SQLite can hold it: a message may quote a name that is no valid Unicode."""
    return printable(value) if isinstance(value, str) else value


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
