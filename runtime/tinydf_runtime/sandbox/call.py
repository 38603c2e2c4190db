"""Function that reads a stranger's file -> its result, computed in a child process that may crash, hang or grow."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from tinydf_runtime.errors import UnreadableInputError
from tinydf_runtime.sandbox.start import AVAILABLE, ask_server
from tinydf_runtime.trust import strict

LONGEST_S = 60.0
"""Seconds of wall clock that a call takes at most, unless it says that it goes on."""
_TICK_MS = 200
_LONGEST_ANSWER = 1 << 20

GoesOn = Callable[[], None]
"""To be called now and then while there is progress."""


def call_in_child(
    function: Callable[..., Any],
    *arguments: str | int,
    most_bytes: int = 0,
    deadline_s: float | None = None,
    stop: threading.Event | None = None,
) -> Any:
    """Returns what a function returns, as JSON carries it.

    Args:
        function: Of a module of ours. Its last parameter is a ``GoesOn``.
        arguments: The others. Paths are absolute: the child may have another current folder.
        most_bytes: Length of a file that it may write.
        deadline_s: Time of ``time.monotonic`` at which it is ended.
        stop: Ends it when set.

    Raises:
        UnreadableInputError: It raised an error, crashed, hung, took too much memory, or was ended.
        UnavailableError: No process can be started.
    """
    if not AVAILABLE:
        return json.loads(json.dumps(function(*arguments, lambda: None)))
    request = {"call": [function.__module__, function.__qualname__], "arguments": arguments, "most_bytes": most_bytes}
    # The server passes two descriptors on; the second is for pictures, of which there are none here.
    nothing = os.open(os.devnull, os.O_RDWR)
    try:
        channel = ask_server(json.dumps(request).encode(), nothing)
    finally:
        os.close(nothing)
    with channel:
        answer = _answer(channel, deadline_s, stop)
    if "result" in answer:
        return answer["result"]
    raise UnreadableInputError(" ".join(str(answer.get("error") or _ending(answer.get("exit"))).split()))


def _answer(channel: socket.socket, deadline_s: float | None, stop: threading.Event | None) -> dict[str, Any]:
    """Returns the child's last message."""
    poll = select.poll()
    poll.register(channel, select.POLLIN)
    moved_s, buffer = time.monotonic(), b""
    while True:
        while b"\n" not in buffer:
            now_s = time.monotonic()
            if now_s - moved_s > LONGEST_S or (deadline_s is not None and now_s > deadline_s):
                return {"error": "takes too long"}
            if stop is not None and stop.is_set():
                return {"error": "was interrupted"}
            if not poll.poll(_TICK_MS):
                continue
            try:
                more = channel.recv(1 << 15)
            except ConnectionResetError:
                more = b""
            buffer += more
            if not more or len(buffer) > _LONGEST_ANSWER:
                return {"exit": None}
        line, _, buffer = buffer.partition(b"\n")
        moved_s = time.monotonic()
        try:
            message = strict.mapping(strict.parse(line.decode(), _LONGEST_ANSWER), 4)
        except ValueError as error:
            return {"error": f"its reader gave no sense ({error})"}
        if message:
            return message


def _ending(code: object) -> str:
    """Returns how a child ended without an answer, in words."""
    if code == -signal.SIGXCPU:
        return "takes too much computing time"
    return "its reader crashed or was ended" if code else "its reader ended without a word"
