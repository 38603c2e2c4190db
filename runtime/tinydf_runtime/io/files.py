"""Whole files or none: temporary names, atomic writing, and the hash that names a file's content."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from tinydf_runtime.errors import OutputError, TinyDFError, UnreadableInputError

if sys.platform != "win32":
    import fcntl

_NAME = re.compile(r"\.[0-9a-f]{16}\.tmp(\.[a-z0-9]+)?")
_looked_through: set[tuple[int, Path]] = set()


@contextmanager
def temporary_file(target: Path, ending: str = "") -> Iterator[Path]:
    """Yields the path of a new, empty file beside a target, to be filled and renamed; removed if it was not.

    The system holds a lock on it for as long as this process lives, by which ``clear_leftovers`` knows the files of
    killed processes.

    Args:
        target: What it becomes. Its folder must exist.
        ending: Suffix of the name, for libraries that choose the format by it: ``.mp4``.

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
    """Removes temporary files that killed processes left in a folder; once per process and folder, never raises."""
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
    """Locks a file while it is open; on file systems without locks it counts as in use for ever."""
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


_CHUNK_BYTES = 1 << 20


def write_atomically(path: Path, write: Callable[[BinaryIO], None] | bytes, mode: int | None = None) -> None:
    """Writes a file under a temporary name in the same folder, syncs it and renames it.

    Readers see the old file or the whole new one. On any failure, Ctrl-C included, the temporary file is removed; one
    that a killed process left is removed when the next file is written beside it. A device or pipe, such as
    /dev/stdout, is written straight, since nothing can be renamed onto it.

    Args:
        path: Target; a link is followed. Its folder must exist.
        write: The content, or a function that writes it to the open binary file.
        mode: Permissions that the file has from the start, None for the usual ones; POSIX systems alone know them.

    Raises:
        OutputError: The system refused, for example because the disk is full or the folder is missing.
    """
    try:
        target = path.resolve()
        if target.exists() and not target.is_file() and not target.is_dir():
            with target.open("wb") as file:
                _fill(file, write)
            return
        with temporary_file(target) as temporary:
            with temporary.open("wb") as file:
                _fill(file, write)
                if mode is not None and os.name == "posix":
                    os.fchmod(file.fileno(), mode)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
    except TinyDFError:
        raise
    except OSError as error:
        raise OutputError(
            f"{path}: could not be written ({error.strerror or error}). Check folder, permissions and free space."
        ) from error


def sha256_of(path: Path, is_over: Callable[[], bool] = lambda: False) -> str:
    """Returns the SHA-256 of a file's bytes as 64 hexadecimal digits; memory use does not grow with the file.

    What is added to it meanwhile is left out.

    Of a folder, such as an ``.mlpackage``, it is the hash of its files' names and hashes, in the order of their names.

    Args:
        path: File or folder.
        is_over: Asked now and then whether to give up: a small file may say that it is as long as a disk.

    Raises:
        UnreadableInputError: The file is missing, a device or pipe, or cannot be read, or not before it was over.
    """
    digest = hashlib.sha256()
    try:
        if path.exists() and not (path.is_dir() or path.is_file()):
            # Reading it may never end.
            raise UnreadableInputError(f"{path}: is no regular file. Save what it gives to a file first.")
        if path.is_dir():
            names = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
            for name in names:
                digest.update(f"{name}\0{sha256_of(path / name)}\n".encode())
            return digest.hexdigest()
        with path.open("rb") as file:
            # No further than it reaches now: one that grows may never end, and the system's own files, whose size is 0,
            # may wait for ever.
            left = os.fstat(file.fileno()).st_size
            while left > 0 and (chunk := file.read(min(left, _CHUNK_BYTES))):
                digest.update(chunk)
                left -= len(chunk)
                if left > 0 and is_over():
                    raise UnreadableInputError(f"{path}: is too long to be hashed in the time given. Allow more.")
    except UnreadableInputError:
        raise
    except OSError as error:
        raise UnreadableInputError(f"{path}: {error.strerror or error}. Check the path and its permissions.") from error
    return digest.hexdigest()


def state_of(path: Path) -> tuple[int, ...] | None:
    """Returns inode, size and time of a file, which change when it is written or replaced; None if there is none."""
    try:
        found = path.stat()
    except (OSError, ValueError, RuntimeError):
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def check_file(path: Path) -> None:
    """Refuses anything but a non-empty regular file.

    Raises:
        UnreadableInputError: It is missing, empty, a folder, a pipe or device, or may not be looked at.
    """
    try:
        found = path.stat()
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UnreadableInputError(f"{path}: {reason}. Check the path and its permissions.") from error
    if stat.S_ISDIR(found.st_mode):
        try:
            os.scandir(path).close()
        except OSError as error:
            raise UnreadableInputError(
                f"{path}: this folder cannot be read ({error.strerror}). Check its permissions."
            ) from error
        raise UnreadableInputError(f"{path}: is a folder, expected a file. Name the files in it.")
    if not stat.S_ISREG(found.st_mode):
        # Opening it may block, and reading it may never end.
        kind = "a named pipe or socket" if not stat.S_ISCHR(found.st_mode) else "a device"
        raise UnreadableInputError(f"{path}: is {kind}, expected a file. Save what it gives to a file first.")
    if not found.st_size:
        raise UnreadableInputError(f"{path}: the file is empty. Copy it again.")


def is_regular(path: Path) -> bool:
    """Returns whether a path names a file that can be opened without waiting; never raises."""
    return os.path.isfile(path)  # noqa: PTH113


def exists(path: Path) -> bool:
    """Returns whether a path exists; False, not an error, for an impossible name."""
    return os.path.exists(path)  # noqa: PTH110


def real_path(path: Path) -> Path:
    """Returns a path with links resolved; a circular one is returned unchanged."""
    return Path(os.path.realpath(path))


def _fill(file: BinaryIO, write: Callable[[BinaryIO], None] | bytes) -> None:
    """Puts the content into an open file."""
    if isinstance(write, bytes):
        file.write(write)
    else:
        write(file)
