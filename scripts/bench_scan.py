"""Measures tinydf-scan: workers against one, overhead a file, the ledger's growth; and what that means for 10^8 clips.

Run: python scripts/bench_scan.py (a quiet machine of two cores or more; some minutes). Writes docs/scale.md. Scans take
turns, so that what else the machine does meets all alike; of the turns the best counts.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from string import Template

import click

from archive_clips import EXAMPLE, write_clips, write_pictures
from tinydf_runtime import __version__
from tinydf_runtime.doctor.machine import read_machine
from tinydf_runtime.io.files import write_atomically
from tinydf_runtime.scan.database import open_database
from tinydf_runtime.scan.ledger import Ledger
from tinydf_runtime.scan.listing import Entry, list_media
from tinydf_runtime.scan.result import Result, Scored
from tinydf_runtime.scan.run import Request, run_scan
from tinydf_runtime.scan.work import Settings
from tinydf_runtime.scan.workers import core_count

PAGE = Path(__file__).with_name("scale.md.in")
LOOP = """
import os, sys, time
from pathlib import Path
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from tinydf_runtime import Analyzer
files = sorted(Path(sys.argv[1]).iterdir())
analyzer = Analyzer(threads=1)
analyzer.analyze_input(files[0])
started = time.perf_counter()
for file in files:
    analyzer.analyze_input(file)
print(time.perf_counter() - started)
"""
DAYS = 30
CLIPS = 10**8


@dataclass(frozen=True, slots=True)
class Scan:
    """What a scan took.

    Attributes:
        wall_s: From its call to its return, without what it takes to find nothing to do.
        cpu_s: Of the coordinating process.
    """

    wall_s: float
    cpu_s: float


@click.command()
@click.option("--turns", default=3, show_default=True, type=click.IntRange(1), help="Times each is run.")
@click.option("--clips", default=40, show_default=True, type=click.IntRange(2), help="For workers against one.")
@click.option("--pictures", default=300, show_default=True, type=click.IntRange(2), help="For the overhead.")
@click.option(
    "--rows", default=200_000, show_default=True, type=click.IntRange(1), help="Of the ledger that is filled."
)
@click.option("--out", type=click.Path(path_type=Path), default=Path("docs/scale.md"), show_default=True)
def main(turns: int, clips: int, pictures: int, rows: int, out: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="tinydf-bench-") as name:
        folder = Path(name)
        write_clips(folder / "clips", clips, frames=75, width=854)
        write_pictures(folder / "pictures", pictures)
        counts = sorted({1, 2, core_count()})
        by_workers: dict[int, list[Scan]] = {count: [] for count in counts}
        single: list[Scan] = []
        loop: list[float] = []
        for turn in range(turns):
            for count in counts:
                by_workers[count].append(time_scan(folder / "clips", folder / f"c{turn}-{count}.sqlite", count))
                click.echo(f"{count} workers: {clips / by_workers[count][-1].wall_s:.2f} clips/s")
            loop.append(time_loop(folder / "pictures"))
            single.append(time_scan(folder / "pictures", folder / f"p{turn}.sqlite", 1))
            click.echo(f"overhead: {(single[-1].wall_s - loop[-1]) / pictures * 1000:.2f} ms a picture")
        example_s = time_example()
        filled_s, filled_bytes = fill_ledger(folder / "rows.sqlite", rows)
        listed_s = time_listing(folder / "many", 20_000) / 20_000
    best = {count: min(scan.wall_s for scan in scans) for count, scans in by_workers.items()}
    values = {
        "machine": f"{read_machine().processor}, {core_count()} cores",
        "version": __version__,
        "turns": str(turns),
        "clips": str(clips),
        "pictures": str(pictures),
        "table": "\n".join(f"| {n} | {clips / s:.2f} | {best[1] / s:.2f} |" for n, s in best.items()),
        "scan_ms": f"{min(scan.wall_s for scan in single) / pictures * 1000:.1f}",
        "loop_ms": f"{min(loop) / pictures * 1000:.1f}",
        "overhead_ms": f"{(min(scan.wall_s for scan in single) - min(loop)) / pictures * 1000:.1f}",
        "cpu_ms": f"{min(scan.cpu_s for scan in single) / pictures * 1000:.2f}",
        "rows": f"{rows:,}",
        "row_us": f"{filled_s / rows * 1e6:.0f}",
        "row_bytes": f"{filled_bytes / rows:.0f}",
        "listed_us": f"{listed_s * 1e6:.0f}",
        **plan_values(example_s, min(scan.cpu_s for scan in single) / pictures, filled_bytes / rows, listed_s),
    }
    write_atomically(out, Template(PAGE.read_text()).substitute(values).encode())
    click.echo(out.read_text())


def time_scan(archive: Path, ledger: Path, workers: int) -> Scan:
    """Scans an archive, and once more when there is nothing left to do; returns the difference."""
    request = Request((str(archive),), ledger, Settings(), workers)
    spent = []
    for _ in range(2):
        started, cpu_s = time.perf_counter(), time.process_time()
        summary = run_scan(request, threading.Event(), lambda counts, known: None)
        spent.append((time.perf_counter() - started, time.process_time() - cpu_s))
        if summary["files_to_do"] or summary["files_not_or_partly_read"]:
            raise click.ClickException(f"the scan of {archive} did not end well: {summary}")
    return Scan(spent[0][0] - spent[1][0], spent[0][1] - spent[1][1])


def time_loop(archive: Path) -> float:
    """Returns the seconds that an analyzer takes for the files of a folder, one after the other on one core."""
    done = subprocess.run([sys.executable, "-c", LOOP, str(archive)], capture_output=True, text=True, check=True)
    return float(done.stdout)


def time_example() -> float:
    """Returns the seconds that one core takes for the example clip."""
    with tempfile.TemporaryDirectory() as name:
        for number in range(3):
            Path(name, f"{number}.mp4").write_bytes(EXAMPLE.read_bytes())
        return time_loop(Path(name)) / 3


def fill_ledger(path: Path, rows: int) -> tuple[float, int]:
    """Writes made-up results through the ledger as a scan does; returns the seconds, and the bytes of the file."""
    result = Result(
        0, "video", "ok", "real", 0.03, 0.01, 0.08, 0.9, "", None, 854, 480, 25.0, 12.0, 60, 1, 1.5, "host:1"
    )
    people = ((1, 0.0, 12.0, "real", 0.03, 60, ""),)
    started = time.perf_counter()
    with closing(open_database(path)) as database:
        ledger = Ledger(database)
        for first in range(0, rows, 500):
            names = [f"/archive/{number // 1000:06d}/clip{number:09d}.mp4" for number in range(first, first + 500)]
            ledger.add(Entry(name, f"{first}-1", first) for name in names)
        for number in range(1, rows + 1):
            sha256 = f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}" * 4
            ledger.hashed(number, sha256)
            ledger.scored(number, Scored(sha256, result, people, ()), None)
        spent_s = time.perf_counter() - started
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return spent_s, path.stat().st_size


def time_listing(folder: Path, count: int) -> float:
    """Returns the seconds that listing so many files takes."""
    for number in range(count):
        place = folder / f"{number // 1000:03d}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number:06d}.jpg").touch()
    started = time.perf_counter()
    assert sum(1 for _ in list_media(str(folder))) == count
    return time.perf_counter() - started


def plan_values(example_s: float, coordinator_s: float, row_bytes: float, listed_s: float) -> dict[str, str]:
    """Returns what the measured figures come to for so many clips as long as the example."""
    core_s = CLIPS * (example_s + coordinator_s)
    return {
        "example_s": f"{example_s:.2f}",
        "core_years": f"{core_s / 3600 / 24 / 365:.1f}",
        "days": str(DAYS),
        "cores": f"{core_s / 3600 / 24 / DAYS:.0f}",
        "coordinator_days": f"{CLIPS * coordinator_s / 3600 / 24:.1f}",
        "ledger_gb": f"{CLIPS * row_bytes / 1e9:.0f}",
        "listing_hours": f"{CLIPS * listed_s / 3600:.1f}",
    }


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
