"""A model -> the seal over its files: their SHA-256, stored inside, so that a single changed byte shows.

The seal is a text among the file's metadata. The hash is taken while zeros stand in place of its digits.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from tinydf_runtime.errors import ModelFileError
from tinydf_runtime.io.files import is_regular
from tinydf_runtime.trust.reading import model_files, read_model_file

SEAL_KEY = "tinydf.seal"
"""Metadata key of the seal."""

_MARK = "tinydf-sha256:"
BLANK_SEAL = _MARK + "0" * 64
"""What an exporter stores under ``SEAL_KEY`` before it calls ``seal``."""

_SEAL = re.compile(_MARK.encode() + rb"([0-9a-f]{64})")


def seal(content: bytes, *beside: bytes) -> bytes:
    """Returns a file's content with its hash in place of ``BLANK_SEAL``, which must stand in it once.

    Args:
        content: The file that holds the seal.
        beside: Contents of the files that belong to it, such as the ``.bin`` of an ``.xml``.
    """
    assert len(_SEAL.findall(content)) == 1, "a file has one seal"
    return _with_digits(content, _digest(content, beside))


def check_seal(path: Path) -> bool:
    """Returns whether a model is sealed, and accepts it if its files are as they were when it was sealed.

    A model with a missing file counts as not sealed; opening it reports the error.

    Args:
        path: Model of any format.

    Raises:
        ModelFileError: One of its files was changed since, is too large or cannot be read.
    """
    files = model_files(path)
    if not all(is_regular(file) for file in files):
        return False
    content, *beside = (read_model_file(file) for file in files)
    found = _SEAL.findall(content)
    if len(found) == 1 and found[0] != _digest(content, tuple(beside)):
        names = " or ".join(file.name for file in model_files(path))
        raise ModelFileError(
            f"{path.name}: its seal is broken: {names} is damaged, was changed after the export, or belongs to another "
            "model. Copy or export it again."
        )
    return len(found) == 1


def _digest(content: bytes, beside: tuple[bytes, ...]) -> bytes:
    digest = hashlib.sha256(_with_digits(content, b"0" * 64))
    for other in beside:
        digest.update(hashlib.sha256(other).digest())
    return digest.hexdigest().encode()


def _with_digits(content: bytes, digits: bytes) -> bytes:
    return _SEAL.sub(_MARK.encode() + digits, content)
