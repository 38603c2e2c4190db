"""The networks that come with TinyDF: where they lie, their recorded hashes, and whether a file is one of them.

The record has the form that ``sha256sum --check`` reads.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from tinydf_runtime.errors import ModelFileError
from tinydf_runtime.io.files import real_path, sha256_of, write_atomically
from tinydf_runtime.trust.reading import read_model_file

WEIGHTS = Path(__file__).parent / "weights"
DEFAULT_MODEL = WEIGHTS / "tinydf.onnx"
DEFAULT_DETECTOR = WEIGHTS / "facedetector.onnx"
"""Each lies beside its model card."""


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
    """Accepts a file whose hash is the recorded one, and a file without a record.

    Raises:
        ModelFileError: It was changed.
        UnreadableInputError: It is recorded, and cannot be read.
    """
    expected = read_record(path.parent).get(path.name)
    if expected is not None and sha256_of(path) != expected:
        raise ModelFileError(
            f"{path}: is not the file that {RECORD_NAME} beside it records. Install TinyDF or copy the file again."
        )


@functools.cache
def _record() -> dict[str, str]:
    return read_record(DEFAULT_MODEL.parent)


def is_known(sha256: str | None) -> bool:
    """Returns whether a file of this hash comes with TinyDF."""
    return sha256 is not None and sha256 in _record().values()


def check_known(content: bytes, path: Path) -> bool:
    """Returns whether a network's file comes with TinyDF.

    Args:
        content: What was read from the file.
        path: The file.

    Raises:
        ModelFileError: It lies where one that comes with TinyDF should lie, and is another.
    """
    known = is_known(hashlib.sha256(content).hexdigest())
    if not known and real_path(path).parent == real_path(DEFAULT_MODEL.parent) and path.name in _record():
        raise ModelFileError(f"{path}: is not the file that {RECORD_NAME} beside it records. Install TinyDF again.")
    return known
