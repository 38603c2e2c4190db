"""Source -> camera number or stream address, and its printable form without credentials."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tinydf_runtime.io.files import exists

STREAM_STARTS = ("rtsp://", "rtsps://", "http://", "https://")
"""Prefixes of addresses that are opened as streams."""

_ADDRESS = re.compile(r"\s*([a-z][a-z0-9+.-]*:/+)(.*)", re.IGNORECASE | re.DOTALL)
_HOST = re.compile(r"(?:[^:]*|\[[^\]]*\])(?::\d*)?")
"""A host with or without a port."""
_VALUE = re.compile(r"(?<==)[^&;]*|(?<![^&;])[^&;=]+(?![^&;])")
_PARAMETER = re.compile(r"(;[^;/=]*=)[^;/]*")


def stream_address(source: str | os.PathLike[str] | int) -> str | int | None:
    """Returns a camera's number or a stream's address; None for a file, even one whose name is a number."""
    if isinstance(source, int):
        return source
    text = os.fspath(source)
    if isinstance(source, str) and text.lower().startswith(STREAM_STARTS):
        return text
    return int(text) if text.isdecimal() and not exists(Path(text)) else None


def is_foreign_address(source: str | int) -> bool:
    """Returns whether a source that is no file looks like an address of a kind that is not read: rtmp://, s3://."""
    return (
        isinstance(source, str) and stream_address(source) is None and "://" in source and bool(_ADDRESS.match(source))
    )


def mask_credentials(source: str | os.PathLike[str] | int) -> str:
    """Returns a source without credentials, for output: of an address, scheme, host, port, path and query names stay.

    User, password, every value in the query, a fragment, and values within the path become ``***``:
    ``rtsp://admin:1234@camera/live?channel=1`` becomes ``rtsp://***@camera/live?channel=***``. Every value is masked,
    since no list of names could tell which are secret. File names are unchanged.
    """
    text = str(source)
    found = _ADDRESS.fullmatch(text)
    if found is None or not isinstance(source, str):
        return text
    scheme, rest = found.groups()
    user, rest = _split_user(rest)
    rest, *fragment = rest.split("#", 1)
    path, *query = rest.split("?", 1)
    masked = scheme + ("***@" if user else "") + _PARAMETER.sub(r"\1***", path)
    if query:
        masked += "?" + _VALUE.sub(lambda value: "***" if value[0] else "", query[0])
    return masked + ("#***" if fragment else "")


def _split_user(rest: str) -> tuple[str, str]:
    """Returns the user info of an address and what follows it.

    A password may contain characters that normally end a host, so the @ that ends it may come later. An @ that starts a
    path segment or lies in a query value does not count.
    """
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    head, mark, query = rest.partition("?")
    # Same length, with the @ that cannot end a password blanked.
    telling = head.replace("/@", "/ ") + mark + re.sub(r"=[^&;]*", lambda value: " " * len(value[0]), query)
    if "@" not in authority and _HOST.fullmatch(authority) is None:
        # No host at all: some @ must end the password.
        end = telling.rfind("@") if "@" in telling else rest.rfind("@")
    elif ":" in authority or "@" in authority:
        end = max(telling.rfind("@"), authority.rfind("@"))
    else:
        end = -1
    return rest[: max(end, 0)], rest[end + 1 :]
