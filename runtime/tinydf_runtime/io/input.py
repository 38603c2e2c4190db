"""What is given to be judged -> what it is, its hash, and how the readers take it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from tinydf_runtime.errors import UnreadableInputError, UsageError
from tinydf_runtime.io.address import stream_address
from tinydf_runtime.io.files import is_regular, sha256_of
from tinydf_runtime.io.image import is_image
from tinydf_runtime.results import Kind

Source: TypeAlias = str | os.PathLike[str] | int
"""Path of a video or picture, number of a camera, or address of a stream."""


def kind_of(source: Source) -> Kind:
    """Returns what an input is: camera numbers and addresses are streams, files go by their first bytes.

    Raises:
        UsageError: It is neither a path nor a number nor an address.
    """
    if not isinstance(source, str | os.PathLike | int):
        raise UsageError(
            f"source: found {type(source).__name__}, expected a path, a camera number or an address. "
            "Frames of your own go to analyze_frames."
        )
    if stream_address(source) is not None:
        return "stream"
    return "image" if is_image(Path(str(source))) else "video"


def hash_of(path: str) -> str | None:
    """Returns the hash of an input file, None where it cannot be read: whoever decodes it says why."""
    if not is_regular(Path(path)):
        return None
    with suppress(UnreadableInputError):
        return sha256_of(Path(path))
    return None


def as_plain(source: Source) -> str | int:
    """Returns a source as the video reader takes it."""
    return source if isinstance(source, int) else os.fspath(source)
