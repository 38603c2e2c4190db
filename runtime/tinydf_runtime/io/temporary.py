"""Names for what is not whole yet: locked while it is made, and cleared away where its maker was killed."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl

_NAME = re.compile(r"\.[0-9a-f]{16}\.tmp(\.[a-z0-9]+)?")
_looked_through: set[tuple[int, Path]] = set()


@contextmanager
def temporary_file(target: Path, ending: str = "") -> Iterator[Path]:
    """Yields the path of a new, empty file beside a target, to be filled and renamed; what was not renamed goes.

    The system holds a lock on it for as long as this process lives, by which ``clear_leftovers`` knows the files of
    killed processes.

    Args:
        target: What it becomes. Its folder must exist.
        ending: What the name is to end in, for those who choose a format by it: ``.mp4``.

    Raises:
        OSError: No file can be made there.
    """
    clear_leftovers(target.parent)
    temporary, descriptor = _make_locked(target.parent, ending)
    try:
        yield temporary
    finally:
        # While it is still locked, so that no other process takes it for a leftover.
        temporary.unlink(missing_ok=True)
        os.close(descriptor)


@contextmanager
def temporary_folder(target: Path) -> Iterator[Path]:
    """Yields the path of a new, empty folder beside a target; else like ``temporary_file``.

    Raises:
        OSError: No folder can be made there.
    """
    clear_leftovers(target.parent)
    temporary = target.with_name(_new_name(""))
    temporary.mkdir()
    descriptor = None if sys.platform == "win32" else os.open(temporary, os.O_RDONLY)
    try:
        _lock(descriptor)
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if descriptor is not None:
            os.close(descriptor)


def clear_leftovers(folder: Path) -> None:
    """Removes what killed processes left in a folder; looks through each folder once a process, and never raises."""
    key = (os.getpid(), folder)
    if key in _looked_through:
        return
    _looked_through.add(key)
    with suppress(OSError), os.scandir(folder) as entries:
        for path in [Path(entry.path) for entry in entries if _NAME.fullmatch(entry.name)]:
            # In use, another user's, or gone meanwhile.
            with suppress(OSError):
                _remove_unlocked(path)


def _make_locked(folder: Path, ending: str) -> tuple[Path, int]:
    """Returns a new file and the descriptor that holds its lock."""
    while True:
        path = folder / _new_name(ending)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        _lock(descriptor)
        # Another process may have taken it for a leftover before it was locked.
        if sys.platform == "win32" or os.fstat(descriptor).st_nlink:
            return path, descriptor
        os.close(descriptor)


def _new_name(ending: str) -> str:
    return f".{secrets.token_hex(8)}.tmp{ending}"


def _lock(descriptor: int | None) -> None:
    """Locks a file for as long as it is open here; where the file system has no locks it counts as in use for ever."""
    if sys.platform != "win32" and descriptor is not None:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _remove_unlocked(path: Path) -> None:
    """Removes a file or folder that nobody has locked.

    Raises:
        OSError: It is in use, or not ours.
    """
    if sys.platform == "win32":
        # The system itself refuses to remove what is open.
        path.unlink() if path.is_file() else shutil.rmtree(path)
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink() if path.is_file() else shutil.rmtree(path)
    finally:
        os.close(descriptor)
