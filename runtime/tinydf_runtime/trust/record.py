"""This machine's trust record: the hashes of engines that may run as code here, and the keys whose signatures count.

One small file per entry, named by its hash, so that two processes that add at once lose nothing. Files that another
user could have written do not count.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal, cast

from tinydf_runtime.errors import ModelFileError, OutputError
from tinydf_runtime.io.files import write_atomically
from tinydf_runtime.io.user_folders import user_settings
from tinydf_runtime.trust import strict
from tinydf_runtime.trust.reading import read_model_file

SCHEMA = "tinydf.trust/1"
MOST_BYTES = 1 << 16
MOST_KEY = 10_000
"""Length limit of a public key in PEM."""

How = Literal["built", "confirmed"]


@dataclass(frozen=True, slots=True)
class Trusted:
    """One entry.

    Attributes:
        sha256: Of the engine's file, or of the key's.
        kind: What it is.
        name: The file's name when it was added.
        how: Built on this machine, or confirmed by its user.
        by: The user's name.
        when: UTC, as ISO 8601.
        host_code: Whether code that the engine carries may run on the processor.
        key: The public key as PEM; empty for an engine.
    """

    sha256: str
    kind: Literal["engine", "key"]
    name: str
    how: How
    by: str
    when: str
    host_code: bool = False
    key: str = ""


def trust_engine(content: bytes, name: str, how: How, *, host_code: bool) -> Trusted:
    """Writes an engine into the record and returns the entry.

    Args:
        content: Of its file.
        name: Of its file.
        how: Why it is trusted.
        host_code: Whether code that it carries may run on the processor.

    Raises:
        OutputError: The record cannot be written.
    """
    return _add(Trusted(_hash(content), "engine", _shown(name), how, _user(), _now(), host_code))


def trust_key(pem: str, name: str) -> Trusted:
    """Writes a public key into the record, so that engines signed with it are trusted, and returns the entry.

    Raises:
        OutputError: The record cannot be written.
    """
    return _add(Trusted(_hash(pem.encode()), "key", _shown(name), "confirmed", _user(), _now(), key=pem))


def find(sha256: str) -> Trusted | None:
    """Returns the entry of a hash, None where there is none.

    Raises:
        ModelFileError: The entry is damaged, or somebody else could have written it.
    """
    folder = _folder()
    path = None if folder is None else folder / f"{sha256}.json"
    if path is None or not path.exists():
        return None
    _check_own(path)
    entry = _read(path)
    if entry.sha256 != sha256:
        raise ModelFileError(f"{path}: is the entry of {entry.sha256[:12]}. Remove it with tinydf-trust --remove.")
    return entry


def entries() -> Iterator[Trusted]:
    """Yields all entries, in the order of their hashes.

    Raises:
        ModelFileError: One is damaged, or somebody else could have written it.
    """
    folder = _folder()
    for path in sorted(folder.glob("*.json")) if folder is not None else ():
        entry = find(path.stem)
        if entry is not None:
            yield entry


def remove(sha256: str) -> bool:
    """Takes a hash out of the record, damaged entries too; returns whether it was there.

    Raises:
        OutputError: The record cannot be written.
    """
    folder = _folder()
    path = None if folder is None else folder / f"{strict.sha256(sha256)}.json"
    if path is None or not path.exists():
        return False
    try:
        path.unlink()
    except OSError as error:
        raise OutputError(f"{path}: cannot be removed ({error.strerror or error}). Check its permissions.") from error
    return True


def matching(start: str) -> list[str]:
    """Returns the hashes in the record that start with these digits."""
    folder = _folder()
    return sorted(path.stem for path in folder.glob("*.json") if path.stem.startswith(start)) if folder else []


def _folder() -> Path | None:
    settings = user_settings()
    return None if settings is None else settings / "trusted"


def _add(entry: Trusted) -> Trusted:
    folder = _folder()
    if folder is None:
        raise OutputError("trust record: the system names no home folder. Set XDG_CONFIG_HOME to a folder.")
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be made ({error.strerror or error}). Set XDG_CONFIG_HOME to a folder of yours."
        ) from error
    path = folder / f"{entry.sha256}.json"
    content = json.dumps(asdict(entry) | {"schema": SCHEMA}, indent=1, sort_keys=True) + "\n"
    # Never writable by others, not even until the next line: a second process that looks would refuse it.
    write_atomically(path, content.encode(), 0o600)
    return entry


def _read(path: Path) -> Trusted:
    try:
        fields = strict.Fields(strict.parse(read_model_file(path, MOST_BYTES).decode(), MOST_BYTES))
        fields.take("schema", strict.one_of, [SCHEMA])
        entry = Trusted(
            sha256=fields.take("sha256", strict.sha256),
            kind=cast(Literal["engine", "key"], fields.take("kind", strict.one_of, ["engine", "key"])),
            name=fields.take("name", strict.text),
            how=cast(How, fields.take("how", strict.one_of, ["built", "confirmed"])),
            by=fields.take("by", strict.text),
            when=fields.take("when", strict.text),
            host_code=fields.take("host_code", strict.flag),
            key=fields.take("key", _pem),
        )
        fields.end()
    except (strict.StrictError, UnicodeDecodeError) as error:
        raise ModelFileError(f"{path}: cannot be read as a trust entry ({error}). Remove it.") from error
    return entry


def _pem(value: object) -> str:
    """Returns a text of several lines."""
    if not isinstance(value, str) or len(value) > MOST_KEY:
        raise strict.StrictError(f"{strict.brief(value)}, expected a public key")
    return value


def _check_own(path: Path) -> None:
    """Refuses a file that another user could have written, as ssh does with its keys."""
    if os.name != "posix":
        return
    for place in (path, path.parent):
        facts = place.stat()
        if facts.st_uid not in (os.getuid(), 0) or facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise ModelFileError(f"{place}: others may write it, so that it proves nothing. chmod go-w, and own it.")


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _shown(name: str) -> str:
    """Returns a name as ``strict.text`` takes it: one that an entry could not be read with would trust nothing."""
    return "".join(letter if letter.isprintable() else "?" for letter in name[: strict.MOST_NAME])


def _user() -> str:
    try:
        return _shown(getpass.getuser())
    # Python 3.13 raises the first; earlier ones let what they tried last through.
    except (OSError, KeyError, ImportError):
        return ""


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
