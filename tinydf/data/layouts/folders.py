"""Plain folders: ``real/`` and ``fake/`` with videos or pictures, in the root or below ``train/``, ``val/``, ``test/``.

Capital letters do not matter, and ``val`` may be called ``valid`` or ``validation``.

The first folder below ``real`` or ``fake`` names the person; a file that lies directly in them is a person of its own,
named by its file name without the ending, so that ``real/anna.mp4`` and ``fake/anna.mp4`` stay together. Without
``train/``, ``val/`` and ``test/`` people are cut into them by the hash of their names.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar, get_args

from tinydf.data.layouts.listing import Clip, Listing, media_below, refuse_empty
from tinydf.data.manifest import Label, Split
from tinydf.data.splits import split_by_name
from tinydf_runtime.io.formats import is_image

SPLITS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
"""What the folder of a part is called -> the part."""
Name = TypeVar("Name")


def list_clips(root: Path) -> Listing:
    """Lists the videos and pictures of plain folders.

    Raises:
        UnreadableInputError: There are none.
    """
    splits: list[tuple[Path, Split | None]] = [*_named(root, SPLITS)]
    clips = [
        _clip(file, root, folder, label, split)
        for label in get_args(Label)
        for within, split in splits or [(root, None)]
        for folder, _ in _named(within, {label: label})
        for file in media_below(folder)
    ]
    refuse_empty(clips, root, "folders real and fake with videos or pictures, in it or below train, val and test")
    return Listing(root.resolve().name, tuple(clips))


def _named(parent: Path, names: Mapping[str, Name]) -> list[tuple[Path, Name]]:
    """Returns the subfolders that have one of some names, with what it stands for, in the names' order."""
    found = [folder for folder in sorted(parent.iterdir()) if folder.is_dir() and folder.name.lower() in names]
    order = [*names]
    found.sort(key=lambda folder: order.index(folder.name.lower()))
    return [(folder, names[folder.name.lower()]) for folder in found]


def _clip(file: Path, root: Path, folder: Path, label: Label, split: Split | None) -> Clip:
    below = file.relative_to(folder)
    identity = below.parts[0] if len(below.parts) > 1 else file.stem
    video = "/".join((*folder.relative_to(root).parts[:-1], *below.parts))
    return Clip(
        file,
        "photo" if is_image(file) else "video",
        label,
        label,
        "",
        split or split_by_name(identity),
        video,
        (identity,),
        (f"{identity}/{below.as_posix()}",) if len(below.parts) > 1 else (file.stem,),
    )
