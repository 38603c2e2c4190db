"""Every error that TinyDF raises on purpose, the missing-extra message and the exit codes.

A message says what, found, expected, then what to do. Commands print it as one line and exit with ``exit_code``.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum


class ExitCode(IntEnum):
    """What a command's exit status means."""

    DONE = 0
    USAGE = 2
    QUALITY = 3
    MISSING = 4
    INPUT = 5
    UNTRUSTED = 6
    OUTPUT = 7
    INTERRUPTED = 130


class TinyDFError(Exception):
    """Base of all errors below."""

    exit_code = ExitCode.USAGE


class UsageError(TinyDFError, ValueError):
    """An argument or option is wrong."""


class OutsideImageError(TinyDFError, ValueError):
    """A box does not touch its image."""


class QualityError(TinyDFError, RuntimeError):
    """A quality bound was missed."""

    exit_code = ExitCode.QUALITY


class MissingExtraError(TinyDFError, ImportError):
    """An optional library is not installed."""

    exit_code = ExitCode.MISSING


class UnavailableError(TinyDFError, RuntimeError):
    """An engine, a device or a network connection is not there."""

    exit_code = ExitCode.MISSING


class NoResourcesError(UnavailableError):
    """This machine has no process, memory or open file left for an input, which may be good: try again later."""


class OutOfMemoryError(TinyDFError, MemoryError):
    """There is not enough memory for one face or one step."""

    exit_code = ExitCode.MISSING


class UnknownFormatError(TinyDFError, ValueError):
    """A file's ending or content is none that we read."""


class UnreadableInputError(TinyDFError, OSError):
    """An input is missing, damaged or holds nothing to read."""

    exit_code = ExitCode.INPUT


class InputTimeoutError(UnreadableInputError):
    """Nothing of an input could be read in the time given."""


class ModelFileError(TinyDFError, ValueError):
    """A model file or checkpoint is damaged, foreign or does not fit this version."""

    exit_code = ExitCode.UNTRUSTED


class CalibrationFileError(TinyDFError, ValueError):
    """A calibration table is missing, damaged or of another schema."""

    exit_code = ExitCode.UNTRUSTED


class StaleTableError(TinyDFError, ValueError):
    """A calibration table was made for other weights, another graph or another crop config."""

    exit_code = ExitCode.UNTRUSTED


class OutputError(TinyDFError, OSError):
    """A result could not be written."""

    exit_code = ExitCode.OUTPUT


def is_no_resources(error: BaseException) -> bool:
    """Returns whether an error says that this machine has no process, memory or open file left for now."""
    codes = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOBUFS)
    known = isinstance(error, MemoryError | NoResourcesError)
    return known or (isinstance(error, OSError) and error.errno in codes)


def one_line(error: BaseException, at_most: int | None = None) -> str:
    """Returns an error's message as one line of ``at_most`` letters, the name of its type where it has none."""
    return " ".join(str(error).split())[:at_most] or type(error).__name__


def first_line(error: BaseException) -> str:
    """Returns the first line of a library's message, 200 letters at most, the name of its type where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def install_line(extra: str = "") -> str:
    """Returns the command that installs an extra, in a clone: TinyDF is on no package index."""
    return f"pip install -c constraints.txt '.[{extra}]'" if extra else "pip install -c constraints.txt ."


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Turns the failed import of an optional library into the line that installs it.

    Raises:
        MissingExtraError: An import inside the block failed.
    """
    try:
        yield
    except ImportError as error:
        raise MissingExtraError(
            f"{error.name or error}: is not installed. In the clone of TinyDF: {install_line(extra)}"
        ) from error


_OUT_OF_MEMORY = (
    "out of memory",
    "bad_alloc",
    "bad allocation",
    "failed to allocate",
    "insufficient memory",
    "alloc_failed",
)
"""How ONNX Runtime, OpenCV, CUDA, cuBLAS and PyTorch say it."""


def is_out_of_memory(error: BaseException) -> bool:
    """Returns whether an error of any library says that memory ran out."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(word in text for word in _OUT_OF_MEMORY)
