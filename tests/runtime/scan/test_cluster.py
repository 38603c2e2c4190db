"""The same scan on a Dask cluster: a real scheduler and two workers, one of which is killed in mid-run."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

distributed = pytest.importorskip("distributed", reason="distributed, of the extra cluster, is not installed")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """Address of a scheduler, and its two workers' processes."""
    known, started = tmp_path / "scheduler.json", list[subprocess.Popen[bytes]]()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}

    def start(module: str, *options: str) -> None:
        command = [sys.executable, "-m", f"distributed.cli.{module}", "--scheduler-file", str(known), "--no-dashboard"]
        started.append(subprocess.Popen([*command, *options], **quiet))  # type: ignore[call-overload]

    try:
        start("dask_scheduler", "--host", "127.0.0.1", "--port", "0")
        for name in ("one", "two"):
            start("dask_worker", "--nthreads", "1", "--no-nanny", "--name", name)
        while not known.is_file() or not known.read_text():
            assert started[0].poll() is None
            time.sleep(0.05)
        address = json.loads(known.read_text())["address"]
        with distributed.Client(address, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=120)
        yield address, started[1:]
    finally:
        for process in reversed(started):
            process.kill()
            process.wait()


def test_every_file_is_scored_once_though_a_worker_is_killed(
    cluster: tuple[str, list[subprocess.Popen[bytes]]],
    draw_archive: Callable[..., Path],
    run_command: Callable[..., subprocess.Popen[str]],
    rows_of: Callable[..., Any],
    tmp_path: Path,
) -> None:
    address, workers = cluster
    archive, ledger = draw_archive(120), tmp_path / "results.sqlite"
    with run_command(archive, "--out", ledger, "--scheduler", address, "--no-sandbox", "--quiet") as scan:
        seen = set[str]()
        while scan.poll() is None and len(seen) < 2:
            with suppress(sqlite3.OperationalError):
                seen = {
                    row["worker"] for row in rows_of(ledger, "SELECT DISTINCT worker FROM contents") if row["worker"]
                }
            time.sleep(0.01)
        os.kill(workers[0].pid, signal.SIGKILL)
        killed_while_running = scan.poll() is None
        _, errors = scan.communicate()
    assert (scan.returncode, errors) == (0, "")
    assert killed_while_running and len(seen) == 2
    rows = rows_of(ledger)
    assert len(rows) == 120
    assert {(row["state"], row["times_scored"], row["exit_code"]) for row in rows} == {("done", 1, 0)}


def test_without_a_scheduler_one_line_says_so(
    draw_archive: Callable[..., Path], run_command: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    with run_command(
        draw_archive(1), "--out", tmp_path / "r.sqlite", "--scheduler", "tcp://127.0.0.1:9", "--quiet"
    ) as scan:
        _, errors = scan.communicate()
    assert scan.returncode == 4
    assert errors.count("\n") == 1 and "no scheduler answers" in errors
