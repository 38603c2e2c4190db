"""Result of a layout for a folder: the clips to prepare, listed files that are missing, and what is left out."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from tinydf.data.manifest import Label, Split
from tinydf_runtime.errors import UnreadableInputError
from tinydf_runtime.io.input import MEDIA_SUFFIXES
from tinydf_runtime.io.video import VIDEO_SUFFIXES

ClipKind: TypeAlias = Literal["video", "photo", "sequence"]
NAMED = 3
"""Names given of a longer list in a message."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A video, a photo, or a sequence of pictures of one face.

    Attributes:
        path: The file; of a sequence the folder, or the archive that holds it.
        kind: Which of the three.
        label: Whether its faces are forged.
        method: How, as the set's owners call it; ``real`` for real ones.
        compression: As the owners call it; empty where there is but one.
        split: Of training.
        video: Name, unique within method and compression, with forward slashes.
        identities: Whose faces went into it.
        sources: Videos that it was made from, itself for an original.
        inside: Folder of a sequence within its archive; empty where ``path`` is a folder.
        mask: Video, as long as this one, that is bright where it was altered: only faces there are forged. None: every
            face is what ``label`` says.
    """

    path: Path
    kind: ClipKind
    label: Label
    method: str
    compression: str
    split: Split
    video: str
    identities: tuple[str, ...]
    sources: tuple[str, ...]
    inside: str = ""
    mask: Path | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that gave no faces, or fewer than it should.

    Attributes:
        file: Relative to the folder of the set, with forward slashes.
        reason: One line.
    """

    file: str
    reason: str


@dataclass(frozen=True, slots=True)
class Listing:
    """What a layout finds.

    Attributes:
        source: Name of the set, for the table.
        clips: In an order that does not depend on the file system.
        missing: Files that the set's own lists name and that are not there.
        damaged: Archives that cannot be listed.
        notes: What was left out or decided, and why: a line each, for the user.
    """

    source: str
    clips: tuple[Clip, ...]
    missing: tuple[str, ...] = ()
    damaged: tuple[Failure, ...] = ()
    notes: tuple[str, ...] = ()


def videos_in(folder: Path) -> list[Path]:
    """Returns the videos directly in a folder, sorted; none where there is no such folder."""
    if not folder.is_dir():
        return []
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in VIDEO_SUFFIXES and _is_shown(file))


def media_below(folder: Path) -> list[Path]:
    """Returns the videos and pictures in a folder and below it, sorted, hidden ones left out."""
    return sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in MEDIA_SUFFIXES
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
        and file.is_file()
    )


def read_list(path: Path) -> str:
    """Returns the text of one of the set's lists.

    Raises:
        UnreadableInputError: It is missing or no text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UnreadableInputError(
            f"{path}: {error.strerror or error}. Copy the list that comes with the set to this place."
        ) from error
    except UnicodeDecodeError as error:
        raise UnreadableInputError(f"{path}: is no UTF-8 text. Copy the list again.") from error


def name_some(names: Collection[str]) -> str:
    """Returns the first few of many names, and how many more there are."""
    first = sorted(names)[:NAMED]
    more = len(names) - len(first)
    return ", ".join(first) + (f" and {more} more" if more else "")


def refuse_empty(clips: Iterable[object], root: Path, expected: str) -> None:
    """Refuses a folder in which a layout found nothing.

    Raises:
        UnreadableInputError: There is no clip.
    """
    if not any(True for _ in clips):
        raise UnreadableInputError(f"{root}: nothing to prepare found, expected {expected}. Check SOURCE and --layout.")


def _is_shown(file: Path) -> bool:
    return not file.name.startswith(".") and file.is_file()
