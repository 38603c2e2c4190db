"""A model -> the files that it consists of, and their bytes up to a size limit."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from tinydf_runtime.errors import ModelFileError

MOST_BYTES = 256 << 20
"""Size limit of a model file: forty times the shipped classifier."""
MOST_TEXT_BYTES = 16 << 20
"""Size limit of a text beside a model; golden crops make most of it."""

MANIFEST = Path("Manifest.json")
DESCRIPTION = Path("Data/com.apple.CoreML/model.mlmodel")
WEIGHTS = Path("Data/com.apple.CoreML/weights/weight.bin")
"""Files in an ``.mlpackage``."""


class RefusedError(ValueError):
    """A well-formed model contains something that is refused; what checks the file turns this into its own error."""


def facts_path(plan: Path) -> Path:
    """Returns where the facts of a TensorRT plan are: ``model.plan.json`` for ``model.plan``."""
    return plan.with_name(f"{plan.name}.json")


def model_files(path: Path) -> tuple[Path, ...]:
    """Returns the files of a model, first the one that holds its metadata."""
    match path.suffix.lower():
        case ".xml":
            return path, path.with_suffix(".bin")
        case ".plan":
            return facts_path(path), path
        case ".mlpackage":
            return path / DESCRIPTION, path / WEIGHTS, path / MANIFEST
    return (path,)


def read_model_file(path: Path, at_most: int = MOST_BYTES, advice: str = "Check the path of the model.") -> bytes:
    """Returns the content of a file of a model.

    Args:
        path: A link is followed. Devices and pipes are refused: reading one may never end.
        at_most: Bytes that it may have.
        advice: What to do where it cannot be read.

    Raises:
        ModelFileError: It is missing, no regular file, too large, or cannot be read.
    """
    try:
        # Opening a pipe would block until it has a writer.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "rb") as file:
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode):
                raise ModelFileError(f"{path}: is no regular file, expected a model. {advice}")
            if facts.st_size > at_most:
                raise ModelFileError(
                    f"{path}: {facts.st_size:,} bytes, expected at most {at_most:,}. It is no model of TinyDF."
                )
            content = file.read(at_most + 1)
    except ModelFileError:
        raise
    except (OSError, ValueError) as error:
        raise ModelFileError(f"{path}: {getattr(error, 'strerror', None) or error}. {advice}") from error
    if len(content) > at_most:
        raise ModelFileError(f"{path}: grows while it is read. Copy the model again.")
    return content
