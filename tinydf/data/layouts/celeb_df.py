"""Celeb-DF-v2 as its owners ship it (Li et al., CVPR 2020).

``Celeb-real/id0_0000.mp4``, ``Celeb-synthesis/id0_id1_0000.mp4`` (video id0_0000 with the face of id1),
``YouTube-real/00000.mp4`` (other people, unnamed, each taken for a person of its own) and
``List_of_testing_videos.txt``: lines such as ``1 YouTube-real/00170.mp4``, where 1 is real.

The official test list is kept whole. It was drawn by video, not by person, so most people in it appear in the rest too:
a network trained on that rest is judged on faces that it knows. Clips of the rest that share a person or a source video
with the test list are therefore left out, and a note says how many. What remains is cut into train and val by person;
fakes of two people in different splits are left out as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from tinydf.data.layouts.listing import Clip, Listing, name_some, read_list, refuse_empty, videos_in
from tinydf.data.manifest import Label
from tinydf.data.splits import cut_by_identity, without_people_of
from tinydf_runtime.errors import UnreadableInputError

FOLDERS: dict[str, Label] = {"Celeb-real": "real", "Celeb-synthesis": "fake", "YouTube-real": "real"}
TEST_LIST = "List_of_testing_videos.txt"
VAL_SHARE = 0.15


def list_clips(root: Path) -> Listing:
    """Lists the clips of a Celeb-DF-v2 folder.

    Raises:
        UnreadableInputError: The test list is missing or damaged, or there is no video.
    """
    videos = [file for folder in FOLDERS for file in videos_in(root / folder)]
    refuse_empty(videos, root, "Celeb-real/id0_0000.mp4, Celeb-synthesis and YouTube-real")
    return split_by_test_list("celeb-df-v2", root, videos)


def split_by_test_list(source: str, root: Path, videos: Iterable[Path]) -> Listing:
    """Puts the videos of the official test list into split test, and the rest where nobody of that list is.

    Args:
        source: Name of the set, for the table.
        root: Its folder, with the list.
        videos: Below ``root``, in a folder of ``FOLDERS`` or deeper.

    Raises:
        UnreadableInputError: The test list is missing or damaged.
    """
    found = {file.relative_to(root).as_posix(): _clip(root, file) for file in videos}
    listed = _read_test_list(root / TEST_LIST)
    test = [replace(clip, split="test") for name, clip in found.items() if name in listed]
    rest = [clip for name, clip in found.items() if name not in listed]
    free, shared = without_people_of(rest, _expected(root, listed))
    placed, between = cut_by_identity(free, VAL_SHARE, 0.0)
    notes = []
    if shared:
        notes.append(
            f"{len(shared)} videos outside the official test list show people of that list and are left out, since no "
            f"identity may be in two splits: {name_some([clip.video for clip in shared])}."
        )
    if between:
        notes.append(
            f"{len(between)} videos show people of both train and val and are left out: "
            f"{name_some([clip.video for clip in between])}."
        )
    return Listing(source, (*placed, *test), tuple(sorted(listed - found.keys())), notes=tuple(notes))


def _clip(root: Path, file: Path) -> Clip:
    folder, *methods = file.parent.relative_to(root).parts
    label = FOLDERS[folder]
    if people := re.findall(r"id\d+", file.stem):
        source = f"Celeb-real/{people[0]}_{file.stem.split('_')[-1]}"
    else:
        people, source = [f"YouTube-real/{file.stem}"], f"YouTube-real/{file.stem}"
    method = "real" if label == "real" else "/".join(methods) or folder
    return Clip(file, "video", label, method, "", "train", file.stem, tuple(people), (source,))


def _expected(root: Path, listed: set[str]) -> list[Clip]:
    """Returns the clips of the test list, there or not: whoever is in it may be tested on."""
    return [_clip(root, root / name) for name in sorted(listed)]


def _read_test_list(path: Path) -> set[str]:
    """Returns the names in the test list, such as YouTube-real/00170.mp4.

    Raises:
        UnreadableInputError: It is missing, or a line is none of its kind.
    """
    names = set()
    for number, line in enumerate(read_list(path).splitlines(), 1):
        if not line.strip():
            continue
        label, _, name = line.strip().partition(" ")
        name = name.strip()
        folder = name.partition("/")[0]
        if folder not in FOLDERS or label != ("1" if FOLDERS[folder] == "real" else "0"):
            raise UnreadableInputError(
                f"{path}: line {number} is {line.strip()!r}, expected 1 for real or 0 for fake and a video, such as "
                "1 YouTube-real/00170.mp4. Copy the list that comes with the set."
            )
        names.add(name)
    return names
