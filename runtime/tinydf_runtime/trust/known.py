"""Networks that come with TinyDF are known by the hashes recorded with them; every other is a stranger's."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from tinydf_runtime.errors import ModelFileError
from tinydf_runtime.io.files import real_path
from tinydf_runtime.models.embedded import DEFAULT_MODEL
from tinydf_runtime.models.recorded import RECORD_NAME, read_record


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
