"""Whole files or none: atomic writing, and the hash that names a file's content."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from tinydf_runtime.errors import OutputError, TinyDFError, UnreadableInputError
from tinydf_runtime.io.temporary import temporary_file

_CHUNK_BYTES = 1 << 20


def write_atomically(path: Path, write: Callable[[BinaryIO], None] | bytes, mode: int | None = None) -> None:
    """Writes a file under a temporary name in the same folder, syncs it and renames it.

    Readers see the old file or the whole new one. Whatever fails, Ctrl-C included, no temporary file stays;
    that of a process that was killed goes with the next file written beside it. A device
    or pipe, such as /dev/stdout, is written straight, since nothing can be renamed onto it.

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


def sha256_of(path: Path) -> str:
    """Returns the SHA-256 of a file's bytes as 64 hexadecimal digits; memory use does not grow with the file.

    Of a folder, such as an ``.mlpackage``, it is the hash of its files' names and hashes, in the order of their names.

    Raises:
        UnreadableInputError: The file is missing, a device or pipe, or cannot be read.
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
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    except UnreadableInputError:
        raise
    except OSError as error:
        raise UnreadableInputError(f"{path}: {error.strerror or error}. Check the path and its permissions.") from error
    return digest.hexdigest()


def state_of(path: Path) -> tuple[int, ...] | None:
    """Returns what changes when a file is written or replaced: its number, size and time; None where there is none."""
    try:
        found = path.stat()
    except (OSError, ValueError, RuntimeError):
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def check_file(path: Path) -> None:
    """Refuses what is no file with something in it.

    Raises:
        UnreadableInputError: It is missing, empty, a folder, a pipe or device, or may not be looked at.
    """
    try:
        found = path.stat()
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UnreadableInputError(f"{path}: {reason}. Check the path and its permissions.") from error
    if stat.S_ISDIR(found.st_mode):
        raise UnreadableInputError(f"{path}: is a folder, expected a file. Name the files in it.")
    if not stat.S_ISREG(found.st_mode):
        # To open it may wait for ever, and reading it may never end.
        kind = "a named pipe or socket" if not stat.S_ISCHR(found.st_mode) else "a device"
        raise UnreadableInputError(f"{path}: is {kind}, expected a file. Save what it gives to a file first.")
    if not found.st_size:
        raise UnreadableInputError(f"{path}: the file is empty. Copy it again.")


def is_regular(path: Path) -> bool:
    """Returns whether a path names a file that can be opened without waiting; never raises."""
    return os.path.isfile(path)  # noqa: PTH113


def exists(path: Path) -> bool:
    """Returns whether there is something at a path; False, and no error, for a name that no file can have."""
    return os.path.exists(path)  # noqa: PTH110


def real_path(path: Path) -> Path:
    """Returns where a path leads to, links followed; one that leads in a circle stays as it is."""
    return Path(os.path.realpath(path))


def _fill(file: BinaryIO, write: Callable[[BinaryIO], None] | bytes) -> None:
    """Puts the content into an open file."""
    if isinstance(write, bytes):
        file.write(write)
    else:
        write(file)
