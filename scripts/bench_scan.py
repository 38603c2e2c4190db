"""Measures tinydf-scan: workers against one, overhead a file, the ledger's growth; and what that means for 10^8 clips.

Run: python scripts/bench_scan.py (a quiet machine of two cores or more; some minutes). Writes docs/scale.md. Scans take
turns, so that what else the machine does meets all alike; of the turns the best counts.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from string import Template

import click

from archive_clips import EXAMPLE, write_clips, write_pictures
from tinydf_runtime import __version__
from tinydf_runtime.io.files import write_atomically
from tinydf_runtime.machine import core_count, read_machine
from tinydf_runtime.scan.database import open_database
from tinydf_runtime.scan.ledger import Ledger
from tinydf_runtime.scan.listing import Entry, list_media
from tinydf_runtime.scan.run import Request, run_scan
from tinydf_runtime.scan.work import Result, Scored, Settings

PAGE = Path(__file__).with_name("scale.md.in")
LOOP = """
import os, sys
from pathlib import Path
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from tinydf_runtime import Analyzer
analyzer = Analyzer(threads=1)
for file in sorted(Path(sys.argv[1]).iterdir()):
    analyzer.analyze_input(file)
"""
DAYS = 30
CLIPS = 10**8


@dataclass(frozen=True, slots=True)
class Spent:
    """What one file more takes, of many.

    Attributes:
        wall_s: Wall clock.
        own_s: Computing time of this process, which coordinates.
        others_s: That of workers and decoders. Other programs on the machine change it little.
    """

    wall_s: float
    own_s: float
    others_s: float


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
        for count in counts:
            write_clips(folder / f"few{count}", count, frames=75, width=854)
        write_pictures(folder / "one", 1)
        scans: dict[int, list[Spent]] = {count: [] for count in counts}
        single, loop = list[Spent](), list[Spent]()
        for turn in range(turns):
            for count in counts:
                scan = Scanner(folder / f"clips{turn}-{count}", count)
                scans[count].append(spent_a_file(scan, folder / "clips", folder / f"few{count}"))
                click.echo(f"{count} workers: {scans[count][-1]}")
            loop.append(spent_a_file(run_loop, folder / "pictures", folder / "one"))
            single.append(spent_a_file(Scanner(folder / f"pictures{turn}", 1), folder / "pictures", folder / "one"))
            click.echo(f"pictures: {loop[-1]} in a loop, {single[-1]} in a scan")
        write_examples(folder / "examples", 3)
        write_examples(folder / "example", 1)
        load = os.getloadavg()[0] - 1
        example = spent_a_file(run_loop, folder / "examples", folder / "example")
        filled_s, filled_bytes = fill_ledger(folder / "rows.sqlite", rows)
        listed_s = time_listing(folder / "many", 20_000) / 20_000
    best = {count: best_of(spent) for count, spent in scans.items()}
    in_scan, in_loop = best_of(single), best_of(loop)
    values = {
        "machine": f"{read_machine().processor}, {core_count()} cores",
        "version": __version__,
        "load": f"{load:.1f}",
        "turns": str(turns),
        "clips": str(clips),
        "pictures": str(pictures),
        "table": "\n".join(
            f"| {n} | {1 / one.wall_s:.2f} | {best[1].wall_s / one.wall_s:.2f} | {one.others_s:.3f} |"
            for n, one in best.items()
        ),
        "scan_ms": f"{in_scan.wall_s * 1000:.1f}",
        "loop_ms": f"{in_loop.wall_s * 1000:.1f}",
        "overhead_ms": f"{(in_scan.wall_s - in_loop.wall_s) * 1000:.1f}",
        "computing_ms": f"{(in_scan.own_s + in_scan.others_s - in_loop.others_s) * 1000:.1f}",
        "own_ms": f"{in_scan.own_s * 1000:.2f}",
        "rows": f"{rows:,}",
        "row_us": f"{filled_s / rows * 1e6:.0f}",
        "row_bytes": f"{filled_bytes / rows:.0f}",
        "listed_us": f"{listed_s * 1e6:.0f}",
        **plan_values(example.others_s, in_scan.own_s, filled_bytes / rows, listed_s),
    }
    write_atomically(out, Template(PAGE.read_text()).substitute(values).encode())
    click.echo(out.read_text())


class Scanner:
    """Scans archives with so many workers, each into a ledger of its own."""

    def __init__(self, folder: Path, workers: int) -> None:
        self._folder, self._workers = folder, workers
        folder.mkdir()

    def __call__(self, archive: Path) -> None:
        """Scans an archive.

        Raises:
            click.ClickException: Some file was not or only in part read.
        """
        request = Request((str(archive),), self._folder / f"{archive.name}.sqlite", Settings(), self._workers)
        summary = run_scan(request, threading.Event(), lambda counts, known: None)
        if summary["files_to_do"] or summary["files_not_or_partly_read"]:
            raise click.ClickException(f"the scan of {archive} did not end well: {summary}")


def run_loop(archive: Path) -> None:
    """Judges the files of a folder by an analyzer on one core, one after the other, in a process of its own."""
    subprocess.run([sys.executable, "-c", LOOP, str(archive)], check=True)


def spent_a_file(work: Callable[[Path], None], many: Path, few: Path) -> Spent:
    """Returns what a file takes by the difference of two archives, so that start and end do not count."""
    spent = []
    for archive in (few, many):
        before = _clocks()
        work(archive)
        spent.append([after - since for after, since in zip(_clocks(), before, strict=True)])
    files = len(list(many.iterdir())) - len(list(few.iterdir()))
    return Spent(*((more - less) / files for less, more in zip(*spent, strict=True)))


def best_of(spent: list[Spent]) -> Spent:
    """Returns the least of each figure over the turns: what else the machine does only adds."""
    return Spent(*(min(getattr(one, field) for one in spent) for field in ("wall_s", "own_s", "others_s")))


def _clocks() -> tuple[float, float, float]:
    """Returns wall clock, and computing time of this process and of those that it has started and that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter(), time.process_time(), children.ru_utime + children.ru_stime


def write_examples(folder: Path, count: int) -> None:
    """Writes copies of the example clip."""
    folder.mkdir()
    for number in range(count):
        (folder / f"{number}.mp4").write_bytes(EXAMPLE.read_bytes())


def fill_ledger(path: Path, rows: int) -> tuple[float, int]:
    """Writes made-up results through the ledger as a scan does; returns the CPU time, and the bytes of the file."""
    result = Result(
        0, "video", "ok", "real", 0.03, 0.01, 0.08, 0.9, "", None, 854, 480, 25.0, 12.0, 60, 1, 1.5, "host:1"
    )
    people = ((1, 0.0, 12.0, "real", 0.03, 60, ""),)
    started = time.process_time()
    with closing(open_database(path)) as database:
        ledger = Ledger(database)
        for first in range(0, rows, 500):
            names = [f"/archive/{number // 1000:06d}/clip{number:09d}.mp4" for number in range(first, first + 500)]
            ledger.add(Entry(name, f"{first}-1", first) for name in names)
        for number in range(1, rows + 1):
            sha256 = f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}" * 4
            ledger.hashed(number, sha256)
            ledger.scored(number, Scored(sha256, result, people, ()), None)
        spent_s = time.process_time() - started
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return spent_s, path.stat().st_size


def time_listing(folder: Path, count: int) -> float:
    """Returns the computing time that listing so many files takes."""
    for number in range(count):
        place = folder / f"{number // 1000:03d}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number:06d}.jpg").touch()
    started = time.process_time()
    assert sum(1 for _ in list_media(str(folder))) == count
    return time.process_time() - started


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
