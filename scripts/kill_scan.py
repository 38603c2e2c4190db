"""Kills a scan with SIGKILL at random moments until it is done, and checks that every clip was done exactly once.

Run: python scripts/kill_scan.py (300 clips, 50 kills). After each kill the ledger must be whole, and no result that was
in it before may be gone or have been made anew. Ends with 3 and says what was wrong where it is not so.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing, suppress
from pathlib import Path

import click

from archive_clips import write_clips

SCAN = "import sys; from tinydf_runtime.cli.scan import main; sys.exit(main())"
Row = tuple[object, ...]


@click.command()
@click.option("--clips", default=300, show_default=True, type=click.IntRange(1))
@click.option("--kills", default=50, show_default=True, type=click.IntRange(0))
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1))
@click.option("--seed", default=14, show_default=True, help="Of the moments.")
@click.option("--model", type=click.Path(path_type=Path), help="Classifier; default: the embedded.")
@click.option("--detector", type=click.Path(path_type=Path), help="Face detector; default: the embedded.")
def main(clips: int, kills: int, workers: int, seed: int, model: Path | None, detector: Path | None) -> None:
    with tempfile.TemporaryDirectory(prefix="tinydf-kill-") as folder:
        archive, ledger = Path(folder, "archive"), Path(folder, "results.sqlite")
        write_clips(archive, clips, frames=10, width=320)
        command = [sys.executable, "-c", SCAN, str(archive), "--out", str(ledger), "--workers", str(workers), "--quiet"]
        command += ["--model", str(model)] if model else []
        command += ["--detector", str(detector)] if detector else []
        moments = random.Random(seed)
        targets = sorted(moments.randrange(clips) for _ in range(kills))
        before: dict[str, Row] = {}
        killed = 0
        for number, target in enumerate(targets, 1):
            killed += kill_one(command, ledger, target, moments)
            before = check_kept(ledger, before)
            click.echo(f"kill {number}: {len(before)} of {clips} done")
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        after = check_kept(ledger, before)
        with closing(sqlite3.connect(ledger)) as database:
            twice = database.execute("SELECT count(*) FROM contents WHERE times_scored <> 1").fetchone()[0]
            files = database.execute("SELECT count(*) FROM results WHERE state = 'done'").fetchone()[0]
        if (done.returncode, twice, files, len(after)) != (0, 0, clips, clips):
            fail(
                f"exit {done.returncode}, {files} files and {len(after)} contents done, {twice} not once. {done.stderr}"
            )
        click.echo(f"{kills} kills: {clips} clips, each done exactly once")


def kill_one(command: list[str], ledger: Path, target: int, moments: random.Random) -> bool:
    """Starts the scan and kills it, a third of the times at its start, else a little after so many are done.

    Returns:
        Whether it was still running.
    """
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    if moments.random() < 1 / 3:
        time.sleep(moments.uniform(0, 2))
    else:
        while process.poll() is None and len(results(ledger)) < target:
            time.sleep(0.02)
        time.sleep(moments.uniform(0, 0.2))
    # Half of the times its workers are killed too, as by a system that runs out of memory or power.
    with suppress(ProcessLookupError):
        (os.killpg if moments.random() < 0.5 else os.kill)(process.pid, signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def check_kept(ledger: Path, before: dict[str, Row]) -> dict[str, Row]:
    """Returns what is done now; ends the script where the ledger is damaged or has lost or changed something."""
    after = results(ledger)
    if ledger.exists():
        with closing(sqlite3.connect(ledger)) as database:
            verdict = database.execute("PRAGMA integrity_check").fetchone()[0]
        if verdict != "ok":
            fail(f"the ledger is damaged: {verdict}")
    changed = [name for name, row in before.items() if after.get(name) != row]
    if changed:
        fail(f"{len(changed)} results are gone or were made anew")
    return after


def results(ledger: Path) -> dict[str, Row]:
    """Returns hash -> all that is known of a content that is done; nothing while there is no ledger."""
    if not ledger.exists():
        return {}
    with closing(sqlite3.connect(ledger, timeout=30)) as database, suppress(sqlite3.OperationalError):
        return {row[1]: row for row in database.execute("SELECT * FROM contents WHERE state = 'done'")}
    return {}


def fail(message: str) -> None:
    click.echo(message, err=True)
    sys.exit(3)


if __name__ == "__main__":
    main()
