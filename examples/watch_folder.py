"""Judges each video that comes into a folder: python examples/watch_folder.py FOLDER

Beside clip.mp4 it writes clip.mp4.html, a page with all the evidence, and clip.mp4.json, the report for programs.
"""

import sys
import time
from pathlib import Path

from tinydf_runtime import Analyzer, TinyDFError, write_html, write_json

ENDINGS = {".mp4", ".mov", ".mkv", ".webm", ".avi"}
POLL_S = 2.0

Stamp = tuple[int, int]
"""Size and time of change: what a copy that goes on alters."""


def look(folder: Path, analyzer: Analyzer, seen: dict[Path, Stamp], done: dict[Path, Stamp]) -> dict[Path, Stamp]:
    """Judges the videos that have not changed since the last look, and returns size and time of all of them.

    A copy that stands still for a while is judged as far as it goes, and again when it has grown.
    """
    now = {path: stamp(path) for path in sorted(folder.iterdir()) if path.suffix.lower() in ENDINGS and path.is_file()}
    for path, looks in now.items():
        out = path.with_name(f"{path.name}.json")
        if looks != seen.get(path) or looks == done.get(path):
            continue
        is_new = path not in done
        done[path] = looks
        if is_new and out.is_file() and out.stat().st_mtime_ns >= looks[1]:
            continue
        try:
            report = analyzer.analyze(path)
            if path.exists():
                write_html(report, path.with_name(f"{path.name}.html"))
                write_json(report, out)  # last: it tells a later start that this video is done
                print(f"{path.name}: {report.inputs[0].verdict} ({report.inputs[0].status})", flush=True)
        except TinyDFError as error:
            print(error, file=sys.stderr)
    return now


def stamp(path: Path) -> Stamp:
    """Returns a file's size and time of change."""
    try:
        facts = path.stat()
    except FileNotFoundError:
        return 0, 0
    return facts.st_size, facts.st_mtime_ns


if __name__ == "__main__":
    with Analyzer() as shared:
        shared.load()
        found: dict[Path, Stamp] = {}
        judged: dict[Path, Stamp] = {}
        while True:
            found = look(Path(sys.argv[1]), shared, found, judged)
            time.sleep(POLL_S)
