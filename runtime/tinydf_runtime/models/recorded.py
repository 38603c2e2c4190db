"""Hashes of files, recorded beside them in the form that ``sha256sum --check`` reads."""

from __future__ import annotations

from pathlib import Path

from tinydf_runtime.errors import ModelFileError
from tinydf_runtime.io.files import sha256_of, write_atomically
from tinydf_runtime.trust.reading import read_model_file

RECORD_NAME = "SHA256SUMS"
MOST_RECORD_BYTES = 1 << 20


def read_record(folder: Path) -> dict[str, str]:
    """Returns the recorded hash of each file of a folder by name; nothing where the folder has no record."""
    try:
        lines = read_model_file(folder / RECORD_NAME, MOST_RECORD_BYTES).decode().splitlines()
    except (ModelFileError, ValueError):
        return {}
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def shipped_files(folder: Path) -> list[Path]:
    """Returns the files of a folder that a record holds: all but the record itself and Python's."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_file() and path.name != RECORD_NAME and path.suffix not in (".py", ".pyc")
    )


def write_record(folder: Path) -> None:
    """Records the hashes of the files of a folder that are shipped.

    Raises:
        OutputError: The record cannot be written.
    """
    text = "".join(f"{sha256_of(path)}  {path.name}\n" for path in shipped_files(folder))
    write_atomically(folder / RECORD_NAME, text.encode())


def check_recorded(path: Path) -> None:
    """Accepts a file that is as it was recorded; one that nobody recorded is accepted too.

    Raises:
        ModelFileError: It was changed.
        UnreadableInputError: It is recorded, and cannot be read.
    """
    expected = read_record(path.parent).get(path.name)
    if expected is not None and sha256_of(path) != expected:
        raise ModelFileError(
            f"{path}: is not the file that {RECORD_NAME} beside it records. Install TinyDF or copy the file again."
        )
