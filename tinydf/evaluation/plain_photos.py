"""A plain folder of photos -> a temporary table of their faces."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from tinydf.data.layouts.listing import media_below
from tinydf.data.layouts.photos import list_clips
from tinydf.data.manifest import PARQUET_NAME, Split
from tinydf.data.photos import CSV_NAME
from tinydf.data.prepare import prepare
from tinydf.evaluation.faces import spread
from tinydf_runtime.io.formats import IMAGE_SUFFIXES


@contextmanager
def as_table(
    folder: Path, split: Split, limit: int | None = None, report: Callable[[int, int], None] | None = None
) -> Iterator[tuple[Path, int]]:
    """Yields a folder that has a table, and how many photos gave no face.

    A folder with a table is yielded as it is. Photos without one are prepared as ``tinydf-prepare --layout photos``
    does, into a folder that goes again; all of them are put into the split that is asked for.

    Args:
        folder: As the user named it.
        split: Which part is to be measured.
        limit: Prepare only so many photos, evenly over the folder.
        report: Called after each photo with the photos done and their number.

    Raises:
        OutputError: There is no room for the faces.
    """
    tables = [folder / name for name in (PARQUET_NAME, CSV_NAME)]
    if any(table.is_file() for table in tables) or not _has_photos(folder):
        yield folder, 0
        return
    listing = list_clips(folder)
    clips = [replace(clip, split=split) for clip in spread(list(listing.clips), limit)]
    with TemporaryDirectory(prefix="tinydf-") as place:
        done = prepare(
            replace(listing, clips=tuple(clips)),
            folder,
            Path(place),
            report=None if report is None else lambda count, _: report(count, len(clips)),
        )
        yield Path(place), len(done.failures)


def _has_photos(folder: Path) -> bool:
    return folder.is_dir() and any(file.suffix.lower() in IMAGE_SUFFIXES for file in media_below(folder))
