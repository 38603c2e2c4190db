"""A path -> the ledger's SQLite database: made, checked, locked, in WAL mode.

It survives a kill at any time: each result is one transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tinydf_runtime.errors import OutputError, TinyDFError, UsageError, one_line

SCHEMA = Path(__file__).with_name("schema.sql")
APPLICATION_ID = 0x54444653
"""Marks the file as a scan's ledger ("TDFS")."""
VERSION = 1
_WAIT_S = 30.0
"""Seconds to wait for readers that hold the database, such as a backup."""


def open_database(path: Path) -> sqlite3.Connection:
    """Returns a connection to the ledger at a path, which is made where there is none.

    Transactions are explicit: see ``transaction``.

    Raises:
        UsageError: The file is something else, or of another version.
        OutputError: It cannot be opened or made.
    """
    with reported(path):
        database = sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None)
    try:
        with reported(path):
            _check_kind(database, path)
            # A killed process loses nothing with NORMAL; a power cut may cost the last results, never the database.
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            with transaction(database):
                if _number(database, "application_id") == 0:
                    _make(database)
    except BaseException:
        database.close()
        raise
    return database


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """Runs the statements of the block in one transaction."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        # SQLite has ended it already where, for example, the disk is full.
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keeps a second scan from the same ledger until the block ends; the lock is released when a scan is killed.

    Raises:
        UsageError: Another scan has it.
        OutputError: The lock's file cannot be made.
    """
    # SQLite's own locks work on every system; on the ledger itself they would keep readers out too.
    with reported(path):
        lock = sqlite3.connect(path.with_name(f".{path.name}.lock"), timeout=0, isolation_level=None)
    try:
        try:
            # Nothing is ever written: it needs no journal file.
            lock.execute("PRAGMA journal_mode = MEMORY")
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise OutputError(f"{path}: {error}. Check folder, permissions and free space.") from error
            raise UsageError(
                f"{path}: another scan is writing to it. Wait for its end, or choose another --out."
            ) from error
        yield
    finally:
        lock.close()


@contextmanager
def reported(path: Path) -> Iterator[None]:
    """Turns SQLite's errors into one line.

    Raises:
        OutputError: The database could not be read or written, or is damaged.
        UsageError: The file is no database.
    """
    try:
        yield
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        # Only errors of the system are OperationalError, and texts that cannot be decoded; where a damaged database
        # is to name what is wrong with it, its words themselves may be none.
        of_content = not isinstance(error, sqlite3.OperationalError) or "decode" in str(error)
        if of_content and "not a database" in str(error):
            raise UsageError(f"{path}: is there and is no ledger of tinydf-scan. Choose another --out.") from error
        if of_content:
            raise OutputError(
                f"{path}: the ledger is damaged ({one_line(error)}). Restore it from a copy, or choose another --out."
            ) from error
        raise OutputError(
            f"{path}: could not be written ({error}). Check folder, permissions and free space; what was done is kept."
        ) from error


@contextmanager
def of_known_words(path: Path) -> Iterator[None]:
    """Turns what rows lead to that no scan writes, such as an unknown verdict, into one line.

    Raises:
        OutputError: The ledger was damaged, or somebody wrote into it.
    """
    try:
        yield
    except TinyDFError:
        raise
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise OutputError(
            f"{path}: the ledger holds what no scan writes ({type(error).__name__}: {one_line(error)}). "
            "Restore it from a copy, or choose another --out."
        ) from error


def _check_kind(database: sqlite3.Connection, path: Path) -> None:
    """Refuses a database that is not ours.

    Raises:
        UsageError: It is somebody else's, or of another version.
    """
    tables = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    found = _number(database, "application_id")
    if found not in (0, APPLICATION_ID) or (found == 0 and tables):
        raise UsageError(f"{path}: is there and is no ledger of tinydf-scan. Choose another --out.")
    if found and _number(database, "user_version") != VERSION:
        raise UsageError(f"{path}: was made by another version of tinydf-scan. Choose another --out.")


def _make(database: sqlite3.Connection) -> None:
    """Puts tables and views into an empty database, within the open transaction."""
    statement = ""
    for line in SCHEMA.read_text(encoding="utf-8").splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            database.execute(statement)
            statement = ""
    database.execute(f"PRAGMA user_version = {VERSION}")
    database.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def _number(database: sqlite3.Connection, pragma: str) -> int:
    return int(database.execute(f"PRAGMA {pragma}").fetchone()[0])
