"""What is given to be judged -> an ``Input``: classified once, as a video, an image or a stream, and hashed."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from tinydf_runtime.errors import UnreadableInputError, UsageError
from tinydf_runtime.io.address import stream_address
from tinydf_runtime.io.files import is_regular, sha256_of, state_of
from tinydf_runtime.io.image import is_image
from tinydf_runtime.results import Kind


@dataclass(frozen=True, slots=True)
class Input:
    """One input, as the readers take it.

    Attributes:
        source: Path, camera number, or address.
        kind: What it is; see ``kind_of``.
    """

    source: str | int
    kind: Kind

    @property
    def name(self) -> str:
        """The input as it was given."""
        return str(self.source)

    def state(self) -> tuple[int, ...] | None:
        """Returns what changes when the file is written or replaced, None for a stream; see ``state_of``."""
        return None if self.kind == "stream" else state_of(Path(self.name))

    def sha256(self) -> str | None:
        """Returns the hash of the file, None for a stream or if unreadable; the decoder reports the error."""
        if self.kind == "stream" or not is_regular(Path(self.name)):
            return None
        with suppress(UnreadableInputError):
            return sha256_of(Path(self.name))
        return None


Source: TypeAlias = str | os.PathLike[str] | int | Input
"""Path of a video or image, camera number, or address of a stream; or one that is classified already."""


def parse_input(source: Source) -> Input:
    """Returns an input with its kind; one that has it stays as it is.

    Raises:
        UsageError: It is neither a path nor a number nor an address.
    """
    if isinstance(source, Input):
        return source
    kind = kind_of(source)
    return Input(source if isinstance(source, int) else os.fspath(source), kind)


def kind_of(source: str | os.PathLike[str] | int) -> Kind:
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
