"""``tinydf-prepare``: videos or photos -> windows of their faces and the table of them."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tinydf.data.layouts.table import LAYOUTS, list_clips
from tinydf_runtime.cli.command import OneLineCommand
from tinydf_runtime.cli.options import STANDARD_OUTPUT, json_option, write_figures
from tinydf_runtime.cli.progress import ProgressBar
from tinydf_runtime.errors import ExitCode, UnreadableInputError, needs
from tinydf_runtime.machine import core_count

if TYPE_CHECKING:
    from tinydf.data.layouts.listing import Listing
    from tinydf.data.prepare import Prepared

NAME = "tinydf-prepare"
SCHEMA = "tinydf.prepare/1"


@click.command(
    NAME,
    cls=OneLineCommand,
    epilog="Example: tinydf-prepare FaceForensics++ --out FACES --layout ff++ --workers 8",
)
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the windows and their table.")
@click.option("--layout", type=click.Choice(list(LAYOUTS)), required=True, help="How SOURCE is laid out.")
@click.option(
    "--faces-per-video",
    type=click.IntRange(1),
    default=32,
    show_default=True,
    help="Windows of each video, spread evenly over it.",
)
@click.option("--limit", type=click.IntRange(1), metavar="N", help="At most N videos of each method, for a trial.")
@click.option("--workers", type=click.IntRange(1), help="Processes; default: one a core.")
@click.option("--detector", type=click.Path(path_type=Path), metavar="MODEL", help="Face detector; default: embedded.")
@json_option
@click.option("--quiet", is_flag=True, help="Print only errors.")
@click.version_option(package_name="tinydf")
def main(
    source: Path,
    out: Path,
    layout: str,
    faces_per_video: int,
    limit: int | None,
    workers: int | None,
    detector: Path | None,
    json_path: Path | None,
    quiet: bool,
) -> int:
    """Cuts the faces out of the videos or photos of SOURCE, for training and evaluation.

    Started again after whatever stopped it, it goes on where it was. What gave no faces stands in failures.csv.

    Exit status: 0 done, 2 wrong usage, 5 an input is missing, unreadable, cut off or shows no face (the rest is
    written), or a split leaks (nothing is written), 7 output could not be written, 130 interrupted.
    """
    with needs("train"):
        import cv2

        from tinydf.data.layouts.listing import name_some
        from tinydf.data.prepare import FAILURES_NAME, limit_clips, prepare
        from tinydf.data.splits import refuse_leaks
    # OpenCV's own threads would compete with the other workers.
    cv2.setNumThreads(1)
    if not source.is_dir():
        raise UnreadableInputError(f"{source}: is no folder. Name the folder that holds the set.")
    silent = quiet or json_path == STANDARD_OUTPUT
    listing = list_clips(layout, source)
    # Of the whole set: a trial must not hide a leak.
    refuse_leaks(listing.clips)
    if limit is not None:
        listing = replace(listing, clips=tuple(limit_clips(listing.clips, limit)))
    if not quiet:
        _say_notes(listing)
    with ProgressBar(source.name, len(listing.clips), unit="videos", quiet=quiet) as progress:
        prepared = prepare(
            *(listing, source, out, faces_per_video, workers or core_count(), detector),
            report=lambda done, faces: progress.advance(done, faces=faces),
        )
    write_figures(json.dumps(_figures(prepared, listing), indent=2) + "\n", json_path)
    if not silent:
        click.echo(f"{prepared.table}: {prepared.faces} faces of {prepared.done} videos or photos")
    if prepared.failures:
        names = name_some([failure.file for failure in prepared.failures])
        _say(f"{len(prepared.failures)} without faces or incomplete, see {out / FAILURES_NAME}: {names}.")
        return ExitCode.INPUT
    return ExitCode.DONE


def _say_notes(listing: Listing) -> None:
    from tinydf.data.layouts.listing import name_some

    for note in listing.notes:
        _say(note)
    if listing.missing:
        _say(f"{len(listing.missing)} files that the set's lists name are not there: {name_some(listing.missing)}.")


def _say(message: str) -> None:
    click.echo(f"{NAME}: {' '.join(message.split())}", err=True)


def _figures(prepared: Prepared, listing: Listing) -> dict[str, Any]:
    from tinydf.data.manifest import read_table

    faces = Counter((row.split, row.method, row.compression) for row in read_table(prepared.table.parent))
    clips = Counter((clip.split, clip.method, clip.compression) for clip in listing.clips)
    return {
        "schema": SCHEMA,
        "table": str(prepared.table),
        "source": listing.source,
        "videos": prepared.done,
        "resumed": prepared.resumed,
        "faces": prepared.faces,
        "failed": len(prepared.failures),
        "missing": len(listing.missing),
        "notes": list(listing.notes),
        "groups": [
            {"split": split, "method": method, "compression": compression, "videos": count, "faces": faces[key]}
            for key, count in sorted(clips.items())
            for split, method, compression in [key]
        ],
    }


if __name__ == "__main__":
    main()
