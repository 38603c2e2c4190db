"""The DeepFake Detection Challenge set as it is downloaded (Dolhansky et al., 2020).

``dfdc_train_part_N/`` folders, directly or one level down, each with its videos and a ``metadata.json``: name ->
``label``, ``split`` (always train) and, for a fake, ``original``. A folder with a ``labels.csv`` (columns filename and
label, 1 for fake) is the public validation or the test set; which of them, its name says (``val``..., else test).

The owners publish no names of actors. A part holds the originals of its fakes, so whole parts make the splits: of every
ten the ninth is for validation and the tenth for testing (N ending in 8 and 9). Where too few parts are there for that,
the cut is by original video, and then an actor can be in two splits: a note says so. That the parts share no actors is
what is commonly assumed of them; the set's paper does not promise it.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tinydf.data.layouts.listing import Clip, Listing, read_list, refuse_empty
from tinydf.data.manifest import Split
from tinydf.data.splits import split_by_name
from tinydf_runtime.errors import UnreadableInputError

FAKE_METHOD = "dfdc"
"""The owners do not say which of their eight methods made a video."""
_PART_NUMBER = re.compile(r"(\d+)$")
_PLACES = ("{name}", "*/{name}", "*/*/{name}")


def list_clips(root: Path) -> Listing:
    """Lists the clips of a DFDC folder.

    Raises:
        UnreadableInputError: A list is damaged, or there is none.
    """
    labelled = sorted(path for place in _PLACES for path in root.glob(place.format(name="labels.csv")))
    held_out = {path.parent for path in labelled}
    parts = sorted(
        path
        for place in _PLACES
        for path in root.glob(place.format(name="metadata.json"))
        if path.parent not in held_out
    )
    clips = [clip for path in parts for clip in _read_part(root, path)]
    for path in labelled:
        clips += _read_labels(root, path)
    refuse_empty(clips, root, "dfdc_train_part_N/metadata.json, or a labels.csv, beside the videos")
    by_part = _cut_by_part(parts, bool(labelled))
    clips = [clip if clip.path.parent in held_out else replace(clip, split=_split(clip, by_part)) for clip in clips]
    missing = [clip.path.relative_to(root).as_posix() for clip in clips if not clip.path.is_file()]
    notes: tuple[str, ...] = ()
    if parts and not by_part:
        notes = (
            "too few parts for whole ones to be held out: the cut is by original video, and since the set names no "
            "actors, one may be in two splits.",
        )
    there = tuple(clip for clip in clips if clip.path.is_file())
    return Listing("dfdc", there, tuple(missing), notes=notes)


def _read_part(root: Path, path: Path) -> Iterator[Clip]:
    """Yields the clips of a metadata.json, their split still to be set."""
    try:
        entries = json.loads(read_list(path))
        for name, facts in sorted(entries.items()):
            label = {"REAL": "real", "FAKE": "fake"}[facts["label"]]
            origin = Path(facts.get("original") or name).stem
            yield _clip(root, path.parent / name, label == "fake", "train", origin)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableInputError(
            f"{path}: cannot be read ({error!r}). Expected video names with label REAL or FAKE; copy it again."
        ) from error


def _read_labels(root: Path, path: Path) -> Iterator[Clip]:
    """Yields the clips of a labels.csv, which names no originals."""
    split: Split = "val" if path.parent.name.lower().startswith("val") else "test"
    try:
        for row in csv.DictReader(read_list(path).splitlines()):
            yield _clip(root, path.parent / row["filename"], bool(int(row["label"])), split, Path(row["filename"]).stem)
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadableInputError(
            f"{path}: cannot be read ({error!r}). Expected columns filename and label, 1 for fake; copy it again."
        ) from error


def _clip(root: Path, file: Path, fake: bool, split: Split, origin: str) -> Clip:
    video = file.relative_to(root).with_suffix("").as_posix()
    return Clip(
        file,
        "video",
        "fake" if fake else "real",
        FAKE_METHOD if fake else "real",
        "",
        split,
        video,
        (origin,),
        (origin,),
    )


def _cut_by_part(parts: list[Path], has_held_out: bool) -> bool:
    """Returns whether the available parts cover training, validation and testing."""
    splits = {_split_of_part(path.parent.name) for path in parts}
    return None not in splits and {"train", "val"} <= splits and (has_held_out or "test" in splits)


def _split(clip: Clip, by_part: bool) -> Split:
    part = _split_of_part(clip.path.parent.name) if by_part else None
    return part or split_by_name(clip.sources[0])


def _split_of_part(name: str) -> Split | None:
    """Returns the split of a part, None where its folder has no number."""
    number = _PART_NUMBER.search(name)
    if number is None:
        return None
    return {"8": "val", "9": "test"}.get(number[1][-1], "train")  # type: ignore[return-value]
