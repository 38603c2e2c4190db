"""The ledger's file: locked, whole, and never somebody else's."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tinydf_runtime.errors import OutputError, UsageError
from tinydf_runtime.scan.database import locked, open_database, reported, transaction
from tinydf_runtime.scan.ledger import Ledger
from tinydf_runtime.scan.listing import Entry


def test_two_scans_cannot_have_one_ledger(tmp_path: Path) -> None:
    ledger = tmp_path / "results.sqlite"
    with locked(ledger):
        with pytest.raises(UsageError, match="another scan"), locked(ledger):
            pass
        with locked(tmp_path / "other.sqlite"):
            pass
    with locked(ledger):
        pass


def test_a_reader_and_a_scan_do_not_keep_each_other_out(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    with locked(path), closing(open_database(path)) as database:
        Ledger(database).add([Entry("/a.png", "1", 1)])
        with closing(sqlite3.connect(path, timeout=0)) as reader:
            rows = reader.execute("SELECT path, state FROM results")
            assert rows.fetchone() == ("/a.png", "waiting")
            Ledger(database).add([Entry("/b.png", "1", 1)])


def test_a_full_disk_is_one_line_and_keeps_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    with closing(open_database(path)) as database:
        ledger = Ledger(database)
        ledger.add([Entry("/first.png", "1", 1)])
        pages = database.execute("PRAGMA page_count").fetchone()[0]
        # What SQLite says when the disk is full.
        database.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(OutputError, match="could not be written") as caught, reported(path):
            ledger.add([Entry(f"/{number}.png", "1", 1) for number in range(5000)])
        assert caught.value.exit_code == 7
    with closing(open_database(path)) as database:
        assert [one.path for one in Ledger(database).listed_after(0, 10)] == ["/first.png"]


def test_a_ledger_whose_making_was_cut_off_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = WAL")
    with closing(open_database(path)) as database:
        assert database.execute("SELECT count(*) FROM results").fetchone() == (0,)


def test_a_ledger_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    with closing(open_database(path)) as database, transaction(database):
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(UsageError, match="another version"):
        open_database(path)


def test_a_damaged_ledger_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    with closing(open_database(path)) as database:
        Ledger(database).add([Entry("/first.png", "1", 1)])
    whole = path.read_bytes()
    # Cut off; and a schema whose words are no text, so that SQLite's own message is none.
    table = whole.index(b"CREATE TABLE contents")
    for content in (whole[: len(whole) // 2], whole[:table] + b"CREATE \x80" + whole[table + 8 :]):
        path.write_bytes(content)
        with pytest.raises(OutputError, match=r"results\.sqlite: the ledger is damaged") as caught:
            open_database(path)
        assert caught.value.exit_code == 7 and "\n" not in str(caught.value)
