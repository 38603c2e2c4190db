"""Every file of an archive is settled once: scored, or given up with a reason."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from tinydf_runtime.errors import UnavailableError, UsageError
from tinydf_runtime.scan.coordinator import Coordinator, Plan
from tinydf_runtime.scan.database import open_database
from tinydf_runtime.scan.ledger import Ledger
from tinydf_runtime.scan.listing import list_media
from tinydf_runtime.scan.work import Settings, describe

Scan = Callable[..., Any]


@pytest.fixture
def ledger_file(tmp_path: Path) -> Path:
    return tmp_path / "results.sqlite"


@pytest.fixture
def scan(ledger_file: Path, settings: Settings, inline: Callable[..., Any]) -> Scan:
    """Scans folders into one ledger: ``scan(folder, ..., fail={}, retries=2, again=False)``; returns the workers."""

    def do(*folders: Path, fail: Any = None, retries: int = 2, again: bool = False) -> Any:
        workers = inline(fail)
        facts = describe(settings)
        database = open_database(ledger_file)
        try:
            ledger = Ledger(database)
            ledger.agree(dict(facts))
            ledger.forget_folders()
            if again:
                ledger.try_again()
            entries = chain.from_iterable(list_media(str(folder)) for folder in folders)
            coordinator = Coordinator(ledger, workers, Plan(settings, facts, retries, None), lambda counts, known: None)
            coordinator.run(entries, threading.Event())
            counts = ledger.counts
            ledger.recount()
            assert (counts.files, counts.settled, counts.failed) == (
                ledger.counts.files,
                ledger.counts.settled,
                ledger.counts.failed,
            )
        finally:
            database.close()
        return workers

    return do


def scored(workers: Any) -> list[str]:
    return sorted(name for task, name in workers.tasks if task == "score_file")


def test_a_content_is_scored_once_however_many_files_hold_it(
    draw_archive: Callable[..., Path], scan: Scan, ledger_file: Path, rows_of: Callable[..., Any]
) -> None:
    archive = draw_archive(3)
    (archive / "below").mkdir()
    (archive / "below" / "copy.png").write_bytes((archive / "picture001.png").read_bytes())
    assert len(scored(scan(archive))) == 3
    rows = rows_of(ledger_file)
    assert [Path(row["path"]).name for row in rows] == [
        "copy.png",
        "picture000.png",
        "picture001.png",
        "picture002.png",
    ]
    assert {(row["state"], row["times_scored"], row["exit_code"]) for row in rows} == {("done", 1, 0)}
    assert rows[0]["sha256"] == rows[2]["sha256"] and rows[0]["fake_probability"] == rows[2]["fake_probability"]
    assert [row["files"] for row in rows_of(ledger_file, "SELECT * FROM duplicates")] == [2]


def test_a_second_scan_does_nothing_but_what_is_new_or_changed(
    draw_archive: Callable[..., Path], scan: Scan, ledger_file: Path, rows_of: Callable[..., Any]
) -> None:
    archive = draw_archive(3)
    scan(archive)
    assert scan(archive).tasks == []
    (archive / "picture000.png").write_bytes((archive / "picture001.png").read_bytes() + b"more")
    draw_archive(1, "archive/new")
    # The first picture's old content has come back under another name: it is known.
    assert scored(scan(archive)) == ["picture000.png"]
    rows = rows_of(ledger_file)
    assert len(rows) == 4 and {row["times_scored"] for row in rows} == {1}


def test_what_cannot_be_read_gets_its_reason_and_ends_nothing(
    draw_archive: Callable[..., Path], scan: Scan, ledger_file: Path, rows_of: Callable[..., Any]
) -> None:
    archive = draw_archive(2)
    (archive / "damaged.mp4").write_bytes(b"nothing of a video")
    (archive / "empty.jpg").touch()
    (archive / "gone.jpg").symlink_to(archive / "nowhere.jpg")
    scan(archive)
    rows = {Path(row["path"]).name: row for row in rows_of(ledger_file)}
    assert {name for name, row in rows.items() if row["verdict"] == "error"} == {
        "damaged.mp4",
        "empty.jpg",
        "gone.jpg",
    }
    assert {row["exit_code"] for row in rows.values() if row["verdict"] == "error"} == {5}
    assert "file is empty" in rows["empty.jpg"]["message"] and "No such file" in rows["gone.jpg"]["message"]
    assert {row["fake_probability"] for row in rows.values() if row["verdict"] == "error"} == {None}
    assert sorted(Path(row["path"]).name for row in rows_of(ledger_file, "SELECT * FROM errors")) == [
        "damaged.mp4",
        "empty.jpg",
        "gone.jpg",
    ]
    assert {rows[f"picture00{n}.png"]["exit_code"] for n in (0, 1)} == {0}


def test_a_file_whose_worker_dies_is_tried_again_and_given_up_at_the_limit(
    draw_archive: Callable[..., Path], scan: Scan, ledger_file: Path, rows_of: Callable[..., Any]
) -> None:
    archive = draw_archive(3)
    died: list[BaseException] = [BrokenProcessPool("died")]
    fail = {"picture000.png": died * 2, "picture001.png": died * 9}
    workers = scan(archive, fail=fail, retries=2)
    assert scored(workers).count("picture000.png") == 3 and scored(workers).count("picture001.png") == 3
    rows = rows_of(ledger_file)
    assert [row["state"] for row in rows] == ["done", "failed", "done"]
    assert (rows[1]["verdict"], rows[1]["exit_code"], rows[1]["failures"]) == ("error", 5, 3)
    assert "worker ended" in rows[1]["message"] and "after 3 tries" in rows[1]["message"]
    # It is left alone from then on, unless that is asked for.
    assert scan(archive).tasks == []
    assert scored(scan(archive, again=True)) == ["picture001.png"]
    assert [row["state"] for row in rows_of(ledger_file)] == ["done"] * 3


def test_the_reason_of_an_error_of_ours_is_kept_with_its_exit_code(
    draw_archive: Callable[..., Path], scan: Scan, ledger_file: Path, rows_of: Callable[..., Any]
) -> None:
    scan(draw_archive(2), fail={"picture000.png": [UnavailableError("store: does not answer.")]}, retries=0)
    assert [row["exit_code"] for row in rows_of(ledger_file)] == [4, 0]
    assert "store: does not answer." in rows_of(ledger_file)[0]["message"]


def test_a_file_that_is_changed_after_it_was_hashed_is_hashed_again(
    draw_archive: Callable[..., Path], scan: Scan, ledger_file: Path, rows_of: Callable[..., Any]
) -> None:
    archive = draw_archive(2)
    scan(archive)
    database = sqlite3.connect(ledger_file)
    # What a hash task would have noted just before somebody wrote to the file.
    with database:
        database.execute("UPDATE contents SET sha256 = 'before', state = 'waiting', verdict = NULL WHERE id = 1")
    database.close()
    scan()
    rows = rows_of(ledger_file)
    assert [row["state"] for row in rows] == ["done", "done"] and "before" not in {row["sha256"] for row in rows}


def test_names_that_are_no_unicode_are_scored_and_kept_as_bytes(
    draw_archive: Callable[..., Path], scan: Scan, ledger_file: Path, rows_of: Callable[..., Any]
) -> None:
    archive = draw_archive(1)
    try:
        (archive / "picture000.png").rename(archive / "\udcff.png")
    except OSError:
        pytest.skip("this file system takes no such names")
    scan(archive)
    (row,) = rows_of(ledger_file)
    assert row["path"].endswith(b"/\xff.png") and row["state"] == "done"
    assert scan(archive).tasks == []


def test_a_folder_that_cannot_be_read_is_an_error_until_it_can(
    draw_archive: Callable[..., Path], scan: Scan, ledger_file: Path, rows_of: Callable[..., Any]
) -> None:
    archive = draw_archive(1)
    closed = archive / "closed"
    closed.mkdir()
    closed.chmod(0)
    try:
        if list_is_allowed(closed):
            pytest.skip("this user may read every folder")
        scan(archive)
        assert [row["exit_code"] for row in rows_of(ledger_file)] == [5, 0]
    finally:
        closed.chmod(0o700)
    scan(archive)
    assert [row["exit_code"] for row in rows_of(ledger_file)] == [0]


def list_is_allowed(folder: Path) -> bool:
    try:
        return list(folder.iterdir()) == []
    except PermissionError:
        return False


def test_a_ledger_of_another_network_is_refused(
    draw_archive: Callable[..., Path], scan: Scan, ledger_file: Path, settings: Settings
) -> None:
    scan(draw_archive(1))
    database = open_database(ledger_file)
    try:
        with pytest.raises(UsageError, match="model_sha256"):
            Ledger(database).agree({**dict(describe(settings)), "model_sha256": "another"})
    finally:
        database.close()


def test_a_stop_ends_the_listing_too(settings: Settings, ledger_file: Path, inline: Callable[..., Any]) -> None:
    def endless() -> Iterator[Any]:
        while True:
            yield from list_media(__file__)

    database = open_database(ledger_file)
    stop = threading.Event()
    stop.set()
    try:
        plan = Plan(settings, describe(settings), 0, None)
        Coordinator(Ledger(database), inline(), plan, lambda counts, known: None).run(endless(), stop)
    finally:
        database.close()
