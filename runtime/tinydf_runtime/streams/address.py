"""Cameras and addresses: what counts as one, and how it is shown without its password."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tinydf_runtime.files import exists

STREAM_STARTS = ("rtsp://", "rtsps://", "http://", "https://")
"""How an address starts that is opened as a stream."""

_USER = re.compile(r"^([a-z]+://)[^/?#]*@", re.IGNORECASE)
_SECRET = re.compile(
    r"([?&;](?:user|usr|username|login|pass|passwd|password|pwd|psw|auth|key|apikey|secret|token)=)[^&;#]*", re.I
)


def stream_address(source: str | os.PathLike[str] | int) -> str | int | None:
    """Returns a camera's number or a stream's address; None for a file, one whose name is a number included."""
    if isinstance(source, int):
        return source
    text = os.fspath(source)
    if isinstance(source, str) and text.lower().startswith(STREAM_STARTS):
        return text
    return int(text) if text.isdecimal() and not exists(Path(text)) else None


def mask_credentials(source: str | os.PathLike[str] | int) -> str:
    """Returns a source as it may be printed and written: an address without user, password and tokens in its query.

    ``rtsp://admin:1234@camera/live`` becomes ``rtsp://***@camera/live``. File names stay as they are.
    """
    text = str(source)
    if not text.lower().startswith(STREAM_STARTS):
        return text
    return _SECRET.sub(r"\1***", _USER.sub(r"\1***@", text))
