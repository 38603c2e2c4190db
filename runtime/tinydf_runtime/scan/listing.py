"""Folders and addresses of stores -> the videos and pictures below them, one by one, and copies of stored ones.

Stores such as S3 are read through fsspec. Endpoints and credentials come from fsspec's own settings (the environment,
FSSPEC_CONFIG_DIR) and are never in the ledger.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tinydf_runtime.errors import UnavailableError, UnreadableInputError, UsageError, needs
from tinydf_runtime.io.files import temporary_file
from tinydf_runtime.io.input import MEDIA_SUFFIXES

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem


@dataclass(frozen=True, slots=True)
class Entry:
    """A file as it was listed, not opened.

    Attributes:
        path: Absolute, or an address.
        version: Changes when the file does; empty for a folder that could not be read.
        size_bytes: Its size, None where that is not known.
        message: Why it could not be listed, None if it was.
    """

    path: str
    version: str
    size_bytes: int | None = None
    message: str | None = None


def check_folder_exists(name: str) -> None:
    """Refuses, before the work, a folder that is not there.

    Raises:
        UnreadableInputError: It does not exist.
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
    """Returns a file's size and dates; errors are reported when it is opened."""
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


_VERSIONS = ("ETag", "etag", "md5Hash", "LastModified", "last_modified", "mtime", "updated", "modified")
"""Names that stores give to the version of a file, the most reliable first."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What a store tells about a file without opening it."""

    version: str
    size_bytes: int | None


def is_address(name: str) -> bool:
    """Returns whether a name is an address, such as s3://bucket/folder, and no path."""
    return "://" in name


def open_store(address: str) -> tuple[AbstractFileSystem, str]:
    """Returns the store of an address and the name in it.

    Raises:
        MissingExtraError: fsspec is not installed.
        UsageError: The address holds a password, or is of a kind that fsspec does not know.
        UnavailableError: What the kind of store needs is not installed.
    """
    with needs("scan"):
        from fsspec.core import url_to_fs
    if urlsplit(address).password is not None:
        raise UsageError(
            "address of a store: holds a password, which the ledger would keep. Put it into the store's own settings."
        )
    try:
        # A cached listing of millions of names would fill the memory and hide changes.
        store, name = url_to_fs(address, use_listings_cache=False)
    except ImportError as error:
        raise UnavailableError(f"{address}: {error}. Its package must be installed.") from error
    except ValueError as error:
        raise UsageError(f"{address}: {error}. Expected an address such as s3://bucket/folder.") from error
    return store, name


def walk_store(address: str) -> Iterator[tuple[str, StoredFile | Exception]]:
    """Yields the address of every file below one, hidden ones left out; or why a folder cannot be read."""
    store, top = open_store(address)
    errors: list[Exception] = []
    with _reported(address):
        if store.isfile(top):
            yield address, _facts(store.info(top))
            return
    walk = store.walk(top, detail=True, on_error=errors.append)
    while True:
        with _reported(address):
            found = next(walk, None)
        for error in errors:
            yield address, error
        errors.clear()
        if found is None:
            return
        _, folders, files = found
        for name in [name for name in folders if name.startswith(".")]:
            del folders[name]
        for facts in sorted(files.values(), key=lambda facts: str(facts["name"])):
            yield address.rstrip("/") + str(facts["name"])[len(top.rstrip("/")) :], _facts(facts)


@contextmanager
def fetched(address: str) -> Iterator[Path]:
    """Yields a temporary copy of a stored file, with the same ending; removed after the block.

    One that a killed worker has left goes with the next copy that a process makes.

    Raises:
        UnreadableInputError: It is not there, or may not be read.
        UnavailableError: The store does not answer.
    """
    store, name = open_store(address)
    with temporary_file(Path(tempfile.gettempdir(), "copy"), Path(name).suffix.lower()) as copy:
        with _reported(address):
            store.get_file(name, os.fspath(copy))
        yield copy


@contextmanager
def _reported(address: str) -> Iterator[None]:
    """Turns a store's errors into ours.

    Raises:
        UnreadableInputError: A file or folder is not there, or may not be read.
        UnavailableError: All else. Each kind of store has errors of its own.
    """
    try:
        yield
    except (FileNotFoundError, PermissionError) as error:
        reason = error.strerror or "is not there, or may not be read"
        raise UnreadableInputError(f"{address}: {reason}. Check the address and who may read it.") from error
    except Exception as error:
        raise UnavailableError(f"{address}: {' '.join(str(error).split()) or type(error).__name__}") from error


def _facts(facts: dict[str, Any]) -> StoredFile:
    """Returns the size and version in what a store says about a file."""
    version = next((facts[name] for name in _VERSIONS if facts.get(name) is not None), "")
    size = facts.get("size")
    return StoredFile(f"{size}-{version}", None if size is None else int(size))
