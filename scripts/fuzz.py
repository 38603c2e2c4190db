"""Gives damaged media and hostile model files to the commands, and counts which kept their promises.

Run: python scripts/fuzz.py [media|models|plans|tables ...] (default: all). Promised is: no crash of the main process,
no hang, no traceback, one line that says what is wrong, the documented exit code, no verdict from nothing. The corpora
are made from the example clip and the shipped networks, the same for the same seed. Exit status 1 where one was broken.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

import click

from fuzzing.case import Kind, read_corpus
from fuzzing.result import Result, figures, line
from tinydf_runtime.io.files import write_atomically

_NEEDED: dict[Kind, tuple[str, ...]] = {
    "media": (),
    "models": ("onnxruntime", "cv2", "tinydf_runtime.cli.run"),
    "plans": ("onnxruntime", "cv2", "openvino", "tinydf_runtime.engines.coreml_package", "tinydf_runtime.cli.run"),
    "tables": ("tinydf.checkpoint", "tinydf.facedetector.weights", "tinydf_calibration.table"),
}
_CLEAN = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@click.command()
@click.argument("kinds", nargs=-1, type=click.Choice(get_args(Kind)))
@click.option("--count", type=click.IntRange(1), help="Cases of each kind; default: all.")
@click.option("--seed", default=1, show_default=True, help="Chooses bits, places and the cases of --count.")
@click.option(
    "--keep", type=click.Path(path_type=Path), help="Folder where the corpora stay; one that is there is used."
)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the figures.")
@click.option("--no-sandbox", is_flag=True, help="Decode media in the main process; decoders may then end it.")
def main(
    kinds: tuple[Kind, ...], count: int | None, seed: int, keep: Path | None, json_file: Path | None, no_sandbox: bool
) -> None:
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for kind in kinds or get_args(Kind):
            started = time.monotonic()
            corpus = (keep or Path(folder)) / kind
            if not (corpus / "cases.json").exists():
                make(kind, corpus, count, seed)
            found.append(run(kind, corpus, count, Path(folder), ["--no-sandbox"] if no_sandbox else []))
            click.echo(f"{line(found[-1])}; {time.monotonic() - started:.0f} s with making the files")
    if json_file is not None:
        write_atomically(json_file, (json.dumps(found, indent=1) + "\n").encode())
    sys.exit(int(any(one["failed"] for one in found)))


def make(kind: Kind, folder: Path, count: int | None, seed: int) -> None:
    """Writes a corpus in a process of its own: encoders leave threads behind, which this one may not have."""
    command = [sys.executable, "-m", "fuzzing.make", kind, str(folder), str(seed), str(count or 0)]
    scripts = str(Path(__file__).parent)
    path = os.pathsep.join([scripts, *filter(None, [os.environ.get("PYTHONPATH")])])
    subprocess.run(command, check=True, stderr=subprocess.PIPE, env={**os.environ, **_CLEAN, "PYTHONPATH": path})


def run(kind: Kind, corpus: Path, count: int | None, scratch: Path, options: list[str]) -> dict[str, Any]:
    """Returns the figures of one corpus."""
    cases = read_corpus(corpus)[:count]
    if kind == "media":
        from fuzzing.run_media import run_media

        return figures(kind, list(_shown(run_media(cases, scratch, options), len(cases))))
    from fuzzing.run_models import run_models

    os.environ |= {name: str(scratch / name) for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME")}
    _import_early(kind)
    return figures(kind, list(_shown(run_models(cases, scratch), len(cases))))


def _import_early(kind: Kind) -> None:
    """Imports once what every copy of this process needs; none of it starts a thread."""
    for name in _NEEDED[kind]:
        with suppress(ImportError):
            import_module(name)


def _shown(results: Iterator[Result], count: int) -> Iterator[Result]:
    """Yields the results, prints those that failed, and shows on a terminal how far it is."""
    with click.progressbar(results, length=count, file=sys.stderr, hidden=not sys.stderr.isatty()) as shown:
        for result in shown:
            if result.complaint:
                click.echo(f"  {result.name}: {result.complaint}")
            yield result


if __name__ == "__main__":
    main()
