"""Keeps OpenCV and FFmpeg from writing to stderr, where our one line about a bad file would drown."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import cv2

# OpenCV 5 moved these two functions.
_logging = cv2 if hasattr(cv2, "setLogLevel") else cv2.utils.logging
_lock = threading.Lock()
_users = 0
_level_before = 0


@contextmanager
def quiet() -> Iterator[None]:
    """Silences both while any thread is inside; then OpenCV's level is what it was.

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
