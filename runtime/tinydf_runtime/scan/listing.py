"""Folders and addresses of stores -> the videos and pictures below them, one after the other, in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tinydf_runtime.errors import UnreadableInputError
from tinydf_runtime.io.input import MEDIA_SUFFIXES
from tinydf_runtime.scan.store import is_address, walk_store


@dataclass(frozen=True, slots=True)
class Entry:
    """A file as it was listed, not opened.

    Attributes:
        path: Absolute, or an address.
        version: Changes when the file does; empty for a folder that could not be read.
        size_bytes: Its size, None where that is not known.
        message: Why it could not be looked at, None where it could.
    """

    path: str
    version: str
    size_bytes: int | None = None
    message: str | None = None


def check_folder_exists(name: str) -> None:
    """Refuses, before the work, a folder that is not there.

    Raises:
        UnreadableInputError: Nothing is there.
    """
    if not is_address(name) and not os.path.lexists(name):
        raise UnreadableInputError(f"{name}: No such file or directory. Check the path.")


def list_media(name: str) -> Iterator[Entry]:
    """Yields what has a video's or picture's ending in and below a folder, hidden names left out; or the one file.

    A folder that cannot be read is yielded too, with the reason. Links to folders are not followed.
    """
    if is_address(name):
        for path, facts in walk_store(name):
            if isinstance(facts, Exception):
                yield Entry(path, "", None, f"{path}: {' '.join(str(facts).split()) or type(facts).__name__}")
            elif _is_wanted(path.rsplit("/", 1)[-1]):
                yield Entry(path, facts.version, facts.size_bytes)
        return
    # Not resolved: the user knows the file by this name.
    top = os.path.abspath(name)  # noqa: PTH100
    if not os.path.isdir(top):  # noqa: PTH112
        yield _look_at(top)
        return
    unread: list[OSError] = []
    for parent, folders, names in os.walk(top, onerror=unread.append):
        folders[:] = sorted(folder for folder in folders if not folder.startswith("."))
        for one in sorted(names):
            if _is_wanted(one):
                yield _look_at(os.path.join(parent, one))  # noqa: PTH118
        yield from _drain(unread)
    yield from _drain(unread)


def _is_wanted(name: str) -> bool:
    return not name.startswith(".") and Path(name).suffix.lower() in MEDIA_SUFFIXES


def _look_at(path: str) -> Entry:
    """Returns a file's size and dates; whoever opens it says what is wrong with it."""
    try:
        found = os.stat(path)  # noqa: PTH116
    except (OSError, ValueError):
        return Entry(path, "missing")
    return Entry(path, f"{found.st_size}-{found.st_mtime_ns}", found.st_size)


def _drain(unread: list[OSError]) -> Iterator[Entry]:
    """Yields the folders that could not be read, once."""
    for error in unread:
        path = os.fsdecode(error.filename)
        yield Entry(path, "", None, f"{path}: {error.strerror or error}. Check its permissions.")
    unread.clear()
