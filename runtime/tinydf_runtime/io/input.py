"""Arguments -> ``Input``s: folders and patterns become files, each classified once and hashed."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from tinydf_runtime.errors import UnreadableInputError, UsageError
from tinydf_runtime.io.address import stream_address
from tinydf_runtime.io.files import is_regular, sha256_of, state_of
from tinydf_runtime.io.formats import IMAGE_SUFFIXES, is_image
from tinydf_runtime.io.video import VIDEO_SUFFIXES
from tinydf_runtime.types import Kind


@dataclass(frozen=True, slots=True)
class Input:
    """One input, as the readers take it.

    Attributes:
        source: Path, camera number, or address.
        kind: What it is; see ``kind_of``.
    """

    source: str | int
    kind: Kind

    @property
    def name(self) -> str:
        """The input as it was given."""
        return str(self.source)

    def state(self) -> tuple[int, ...] | None:
        """Returns the file's state, which changes with its content; None for a stream. See ``state_of``."""
        return None if self.kind == "stream" else state_of(Path(self.name))

    def sha256(self, is_over: Callable[[], bool]) -> str | None:
        """Returns the hash of the file; None for a stream, if unreadable, which the decoder reports, or if it was over.

        Args:
            is_over: Asked now and then whether to give up.
        """
        if self.kind == "stream" or not is_regular(Path(self.name)):
            return None
        with suppress(UnreadableInputError):
            return sha256_of(Path(self.name), is_over)
        return None


Source: TypeAlias = str | os.PathLike[str] | int | Input
"""Path of a video or image, camera number, or address of a stream; or one that is classified already."""


def parse_input(source: Source) -> Input:
    """Returns an input with its kind; one that has it stays as it is.

    Raises:
        UsageError: It is neither a path nor a number nor an address.
    """
    if isinstance(source, Input):
        return source
    kind = kind_of(source)
    return Input(source if isinstance(source, int) else os.fspath(source), kind)


def kind_of(source: str | os.PathLike[str] | int) -> Kind:
    """Returns what an input is: camera numbers and addresses are streams, files go by their first bytes.

    Raises:
        UsageError: It is neither a path nor a number nor an address.
    """
    if not isinstance(source, str | os.PathLike | int):
        raise UsageError(
            f"source: found {type(source).__name__}, expected a path, a camera number or an address. "
            "Frames of your own go to analyze_frames."
        )
    if stream_address(source) is not None:
        return "stream"
    return "image" if is_image(Path(str(source))) else "video"


MEDIA_SUFFIXES = VIDEO_SUFFIXES | IMAGE_SUFFIXES


def expand_inputs(names: Sequence[str]) -> list[str]:
    """Returns every file, camera and address once, in the order given and sorted within folders and patterns.

    A plain name is kept whether it exists or not: a missing file is reported later, as an input.

    Raises:
        UsageError: A folder or pattern names no video or picture, and nothing else is left to do; or a name is empty.
    """
    found: list[str] = []
    empty: list[str] = []
    if "" in names:
        # It would be the current folder.
        raise UsageError("an input's name is empty. Check the variable that it comes from.")
    for name in names:
        part = _expand(name)
        found += part
        if not part:
            empty.append(name)
    if not found:
        raise UsageError(
            f"{', '.join(empty)}: holds no video or picture. Name files with an ending such as .mp4, .mkv, .jpg, .png."
        )
    # An argument that matched nothing stays, so that its report says so.
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
    """Returns the videos and pictures in a folder and below it but hidden ones, and folders that cannot be read."""
    found: list[Path] = []

    def keep(error: OSError) -> None:
        # As an input of its own it is reported, like a file that cannot be read.
        found.append(Path(os.fsdecode(error.filename)))

    # Links to folders are not followed: they may lead in a circle.
    for parent, folders, names in os.walk(folder, onerror=keep):
        folders[:] = [name for name in folders if not name.startswith(".")]
        files = (Path(parent, name) for name in names if not name.startswith("."))
        found += [file for file in files if file.suffix.lower() in MEDIA_SUFFIXES and is_regular(file)]
    return sorted(found)
