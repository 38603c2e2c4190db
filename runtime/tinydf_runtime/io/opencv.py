"""For calls into OpenCV and FFmpeg: a file name that they cannot misread, and a silent stderr."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2

_PLAIN = re.compile(r"[\w ./\\,()+=~@#&'!-]*", re.ASCII)
"""FFmpeg takes what stands before a colon for a protocol and ``%03d`` for numbered pictures; OpenCV's bindings crash on
names that are not UTF-8."""


@contextmanager
def readable_name(path: Path) -> Iterator[str]:
    """Yields a name under which the decoders of OpenCV and FFmpeg find a file, good within the block.

    The absolute path where that is plain; else a link to the file, with a plain name and the same ending.

    Raises:
        OSError: The file is not there.
    """
    absolute = os.path.abspath(path)  # noqa: PTH100
    if _PLAIN.fullmatch(absolute) or (sys.platform == "win32" and absolute.isascii()):
        yield absolute
    elif os.path.isdir("/proc/self/fd"):  # noqa: PTH112
        # The kernel's own link: none is left behind if this process is killed.
        descriptor = os.open(absolute, os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
    else:
        with tempfile.TemporaryDirectory() as folder:
            ending = path.suffix if _PLAIN.fullmatch(path.suffix) else ""
            link = Path(folder, f"input{ending}")
            link.symlink_to(absolute)
            yield str(link)


# OpenCV 5 moved these two functions.
_logging = cv2 if hasattr(cv2, "setLogLevel") else cv2.utils.logging
_lock = threading.Lock()
_users = 0
_level_before = 0


@contextmanager
def quiet() -> Iterator[None]:
    """Silences OpenCV and FFmpeg while any thread is inside; then restores OpenCV's log level.

    FFmpeg reads its variable once, when OpenCV first uses it; a value that the user has set stays.
    """
    global _users, _level_before
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    with _lock:
        if not _users:
            _level_before = _logging.getLogLevel()
            _logging.setLogLevel(0)
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                _logging.setLogLevel(_level_before)


@contextmanager
def silent_stderr() -> Iterator[None]:
    """Drops what any thread writes to stderr within the block: libjpeg's warnings, which OpenCV cannot turn off.

    For a short call that is bound to warn. Where the process has no stderr, nothing is done.
    """
    try:
        kept = os.dup(2)
    except OSError:
        yield
        return
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
