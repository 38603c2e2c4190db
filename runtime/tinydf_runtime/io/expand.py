"""What was typed -> the inputs that it names: folders and patterns become their files."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from pathlib import Path

from tinydf_runtime.errors import UsageError
from tinydf_runtime.io.address import stream_address
from tinydf_runtime.io.files import is_regular
from tinydf_runtime.io.image import IMAGE_SUFFIXES
from tinydf_runtime.io.video import VIDEO_SUFFIXES

MEDIA_SUFFIXES = VIDEO_SUFFIXES | IMAGE_SUFFIXES


def expand_inputs(names: Sequence[str]) -> list[str]:
    """Returns every file, camera and address once, in the order given and sorted within folders and patterns.

    A plain name is kept whether it exists or not: that a file is missing is said in its report.

    Raises:
        UsageError: A folder or pattern names no video or picture, and nothing else is left to do.
    """
    found: list[str] = []
    empty: list[str] = []
    for name in names:
        part = _expand(name)
        found += part
        if not part:
            empty.append(name)
    if not found:
        raise UsageError(
            f"{', '.join(empty)}: holds no video or picture. Name files with an ending such as .mp4, .mkv, .jpg, .png."
        )
    # What matched nothing stays, so that its report says so.
    return list(dict.fromkeys([*found, *empty]))


def _expand(name: str) -> list[str]:
    """Returns what one argument names."""
    if stream_address(name) is not None:
        return [name]
    path = Path(name)
    if os.path.isdir(path):  # noqa: PTH112
        return [str(file) for file in _media_in(path)]
    if os.path.lexists(path) or not glob.has_magic(name):
        return [name]
    # Path.glob would need the fixed part of the pattern taken off first.
    matches = [Path(match) for match in sorted(glob.glob(name, recursive=True))]  # noqa: PTH207
    files: list[Path] = []
    for match in matches:
        if os.path.isdir(match):  # noqa: PTH112
            files += _media_in(match)
        elif match.suffix.lower() in MEDIA_SUFFIXES or match.suffix == path.suffix:
            files.append(match)
    return [str(file) for file in files]


def _media_in(folder: Path) -> list[Path]:
    """Returns the videos and pictures in a folder and below it, hidden ones left out."""
    found: list[Path] = []
    # Links to folders are not followed: they may lead in a circle.
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        files = (Path(parent, name) for name in names if not name.startswith("."))
        found += [file for file in files if file.suffix.lower() in MEDIA_SUFFIXES and is_regular(file)]
    return sorted(found)
