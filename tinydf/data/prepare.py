"""Listed clips -> table of faces; resumes where an earlier run stopped."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import cv2

from tinydf.data.find_faces import CROP_CONFIG, find_in_photo, find_in_sequence, find_in_video
from tinydf.data.layouts.listing import Clip, Failure, Listing
from tinydf.data.manifest import FaceRow, write_table
from tinydf.data.parts import Part, make_folder, read_part, write_part
from tinydf.data.processes import run_each
from tinydf.data.sequences import clip_size
from tinydf.data.splits import refuse_leaks
from tinydf_runtime.errors import OutputError, TinyDFError, UnreadableInputError, UsageError, one_line
from tinydf_runtime.faces.detector import FaceDetector
from tinydf_runtime.io.files import sha256_of, write_atomically
from tinydf_runtime.models.shipped import DEFAULT_DETECTOR

SETTINGS_NAME = "prepare.json"
FAILURES_NAME = "failures.csv"
SETTINGS_SCHEMA = "tinydf.prepare-settings/1"
MISSING_REASON = "named in a list of the set, but not there"


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a run left behind.

    Attributes:
        table: The table of faces.
        failures: Clips and files that gave nothing, or less than they should.
        done: Clips with a record, from this and earlier runs.
        resumed: How many of them an earlier run had done.
        faces: Rows of the table.
    """

    table: Path
    failures: tuple[Failure, ...]
    done: int
    resumed: int
    faces: int


def prepare(
    listing: Listing,
    root: Path,
    out: Path,
    faces_per_video: int = 32,
    workers: int = 1,
    detector: Path | None = None,
    report: Callable[[int, int], None] | None = None,
) -> Prepared:
    """Cuts the faces of a set out and writes their table, ``faces.parquet``, and ``failures.csv``.

    Each clip that is done has a record below ``parts/``. A run that was stopped at any point is started again with the
    same arguments: finished clips are skipped, half-finished ones are redone. On Ctrl-C the table of finished clips is
    written before the exception propagates.

    Args:
        listing: What a layout found.
        root: The folder of the set.
        out: Folder of the table; made where it is missing.
        faces_per_video: Windows of a video or sequence, spread evenly over it and shared by its people.
        workers: Processes; with one, the work is done in this one.
        detector: Face detector, None for the embedded one.
        report: Called after each clip with the clips done and the faces found so far.

    Raises:
        UnreadableInputError: A person or source video is in two splits.
        UsageError: The folder was begun with other settings, or lies within the set.
        ModelFileError: The detector's file is missing or damaged.
        OutputError: Something cannot be written.
    """
    refuse_leaks(listing.clips)
    if root.resolve() in (out.resolve(), *out.resolve().parents):
        raise UsageError(f"{out}: lies within {root}, and would be read as a part of the set. Choose another --out.")
    detector = DEFAULT_DETECTOR if detector is None else detector
    _open_detector(detector)
    make_folder(out)
    _check_settings(out, listing.source, faces_per_video, detector)
    waiting, resumed, faces = [], 0, 0
    for clip in listing.clips:
        part = read_part(_part_path(out, clip))
        # What could not be read may have been copied again since.
        if part is None or part.status == "unreadable" or part.size != clip_size(clip):
            waiting.append(clip)
        else:
            resumed, faces = resumed + 1, faces + len(part.faces)
    done = resumed
    if report:
        report(done, faces)
    try:
        step = partial(prepare_clip, out=out, faces_per_video=faces_per_video, detector=detector)
        for clip, found in run_each(step, waiting, workers):
            if found is None:
                reason = "the process that read it was killed: by the decoder, or for want of memory"
                write_part(_part_path(out, clip), Part(clip_size(clip), "unreadable", reason, ()))
            done, faces = done + 1, faces + (found or 0)
            if report:
                report(done, faces)
    finally:
        table = write_table(_rows(listing, out), out)
        failures = tuple(_failures(listing, root, out))
        _write_failures(failures, out)
    return Prepared(table, failures, done, resumed, faces)


def prepare_clip(clip: Clip, out: Path, faces_per_video: int, detector: Path) -> int:
    """Writes the windows of one clip and its record, also for a damaged clip, and returns the number of windows.

    Raises:
        OutputError: Something cannot be written.
        ModelFileError: The detector's file is missing or damaged.
    """
    size, place = clip_size(clip), f"windows/{_place(clip)}"
    loaded = _open_detector(detector)
    # What an earlier run left half done, or made of a file that is another now.
    _part_path(out, clip).unlink(missing_ok=True)
    _remove_windows(out / place)
    try:
        place.encode()
        if clip.kind == "video":
            found = find_in_video(clip, loaded, out, place, faces_per_video)
        elif clip.kind == "photo":
            found = find_in_photo(clip, loaded, out, place)
        else:
            found = find_in_sequence(clip, loaded, out, place, faces_per_video)
        part = Part(size, found.status, found.reason, found.faces)
    except OutputError:
        raise
    except UnicodeEncodeError:
        part = Part(size, "unreadable", "its name is no UTF-8 and cannot stand in the table: rename it", ())
    except (TinyDFError, OSError, cv2.error, MemoryError) as error:
        reason = one_line(error).removeprefix(f"{clip.path}: ")
        part = Part(size, "unreadable", reason, ())
    if not part.faces:
        _remove_windows(out / place)
    write_part(_part_path(out, clip), part)
    return len(part.faces)


def limit_clips(clips: Sequence[Clip], count: int) -> list[Clip]:
    """Returns at most so many clips of each method and compression, in their order, evenly spread over them."""
    groups: dict[tuple[str, str], list[int]] = {}
    for row, clip in enumerate(clips):
        groups.setdefault((clip.method, clip.compression), []).append(row)
    kept = {
        rows[place * len(rows) // min(count, len(rows))]
        for rows in groups.values()
        for place in range(min(count, len(rows)))
    }
    return [clip for row, clip in enumerate(clips) if row in kept]


@lru_cache(maxsize=1)
def _open_detector(path: Path) -> FaceDetector:
    """Loads a detector once a process."""
    return FaceDetector(path, threads=1)


def _remove_windows(place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    place.with_name(f"{place.name}.png").unlink(missing_ok=True)


def _place(clip: Clip) -> str:
    """Returns where a clip's pictures and record lie: unique in the set."""
    return "/".join(part for part in (clip.method, clip.compression, clip.video) if part)


def _part_path(out: Path, clip: Clip) -> Path:
    return out / "parts" / f"{_place(clip)}.json"


def _rows(listing: Listing, out: Path) -> Iterator[FaceRow]:
    for clip in listing.clips:
        part = read_part(_part_path(out, clip))
        for face in part.faces if part else ():
            yield FaceRow(
                file=face.file,
                label=clip.label,
                source=listing.source,
                method=clip.method,
                compression=clip.compression,
                split=clip.split,
                video=clip.video,
                identities=clip.identities,
                frame=face.frame,
                time_s=face.time_s,
                track=face.track,
                box_xyxy=face.box_xyxy,
                landmarks=face.landmarks,
                detection_score=face.detection_score,
                sharpness=face.sharpness,
                sha256=face.sha256,
            )


def _failures(listing: Listing, root: Path, out: Path) -> Iterator[Failure]:
    for clip in listing.clips:
        part = read_part(_part_path(out, clip))
        if part is not None and part.reason:
            file = "/".join(filter(None, (clip.path.relative_to(root).as_posix(), clip.inside)))
            yield Failure(file, part.reason)
    yield from listing.damaged
    yield from (Failure(name, MISSING_REASON) for name in listing.missing)


def _write_failures(failures: Iterable[Failure], out: Path) -> None:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("file", "reason"))
    writer.writerows((failure.file, failure.reason) for failure in failures)
    write_atomically(out / FAILURES_NAME, text.getvalue().encode("utf-8", "backslashreplace"))


def _check_settings(out: Path, source: str, faces_per_video: int, detector: Path) -> None:
    """Refuses to mix faces that were found in different ways in one table.

    Raises:
        UsageError: The folder was begun with other settings.
        UnreadableInputError: Its settings cannot be read.
    """
    settings = {
        "schema": SETTINGS_SCHEMA,
        "source": source,
        "faces_per_video": faces_per_video,
        "detector": sha256_of(detector),
        "crop": CROP_CONFIG.sha256(),
    }
    path = out / SETTINGS_NAME
    if not path.exists():
        write_atomically(path, json.dumps(settings, indent=2).encode())
        return
    try:
        before = json.loads(path.read_bytes())
        different = [name for name in settings if before.get(name) != settings[name]]
    except (OSError, ValueError, AttributeError) as error:
        raise UnreadableInputError(f"{path}: cannot be read ({error}). Choose another --out.") from error
    if different:
        name = different[0]
        raise UsageError(
            f"{out}: was begun with {name} {before.get(name)}, now it is {settings[name]}. Choose another --out."
        )
