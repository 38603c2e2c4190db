"""One input -> its pictures in shared memory, within limits on memory and computing time."""

from __future__ import annotations

import importlib
import json
import os
import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tinydf_runtime.errors import MissingExtraError, NoResourcesError, one_line
from tinydf_runtime.io.decoder_log import DecoderLog
from tinydf_runtime.io.file_frames import FrameReader, open_reader
from tinydf_runtime.sandbox.ring import Ring

MEMORY_BYTES, LEAST_MEMORY_BYTES = 4 << 30, 1 << 30
"""Address space that decoding one input may take beside the libraries': so much, or what the machine has, but not too
little, since FFmpeg's threads reserve more than they use."""
STEP_CPU_S = 60
"""Computing time in which at least one more picture must be decoded."""
_PIXEL_BYTES = 32
"""Memory for a pixel: a few pictures of three or four channels, or one with numbers in floating point."""
_OPEN_FILES = 64
_BEAT_S = 0.25
_LONGEST_MESSAGE = 2000


def work(request: dict[str, Any], channel: socket.socket, memory: int) -> None:
    """Decodes an input into shared memory, and reports on a socket: one JSON object a line.

    The client sends a byte back for each picture that it has released.

    The lines: ``opened``, a ``frame`` for each picture, then ``end``, ``error``, or ``refused`` where the machine lacks
    something and the input may be good.

    Args:
        request: What ``open_reader`` takes, ``path`` (the source), ``kind`` ("video" or "image"), ``sample_fps`` and
            ``max_pixels``; and ``folder``, where a relative path begins. Or what ``call_in_child`` sends.
        channel: Socket to the client.
        memory: Descriptor of the memory for pictures.
    """
    if "call" in request:
        _set_limits(None, request["most_bytes"])
        _tell(channel, **_call(request, channel))
        return
    ring = Ring(memory)
    _set_limits(request["max_pixels"])
    try:
        if request["folder"] is not None:
            os.chdir(request["folder"])
        log = DecoderLog() if request["kind"] == "video" else None
        reader = open_reader(request["path"], request["kind"], request["sample_fps"], request["max_pixels"], log)
        with reader, _heart(reader, ring):
            _tell(channel, opened=asdict(reader.info))
            _send_frames(reader, channel, ring)
            # Some facts, such as the true length, are known at the end alone.
            _tell(channel, opened=asdict(reader.info), end=True, **_facts(reader))
    except NoResourcesError as error:
        _tell(channel, refused=str(error))
    except (OSError, MissingExtraError) as error:
        _tell(channel, error=_named(error, request["path"]))
    # Any error of a decoder means that this input cannot be read.
    except Exception as error:
        _tell(
            channel,
            error=f"{request['path']}: cannot be decoded ({one_line(error, _LONGEST_MESSAGE)}). Check that it opens.",
        )


def _call(request: dict[str, Any], channel: socket.socket) -> dict[str, Any]:
    """Returns the result of a function of ours, or its error; see ``call_in_child``."""
    module, name = request["call"]

    def goes_on() -> None:
        _allow_step()
        channel.sendall(b"{}\n")

    try:
        return {"result": getattr(importlib.import_module(module), name)(*request["arguments"], goes_on)}
    # Any error of a library means that this file cannot be read.
    except Exception as error:
        return {"error": one_line(error, _LONGEST_MESSAGE)}


def _send_frames(reader: FrameReader, channel: socket.socket, ring: Ring) -> None:
    """Writes the pictures into the shared memory, as far ahead as there are slots."""
    taken = 0
    started, decode_s = time.perf_counter(), 0.0
    for sent, frame in enumerate(reader):
        decode_s += time.perf_counter() - started
        while sent > taken and not (ring.fits(frame.image) and sent - taken < ring.places):
            taken += _wait_taken(channel)
        if not ring.fits(frame.image):
            ring.lay_out(frame.image)
        at = ring.write(sent, frame.image)
        height, width = frame.image.shape[:2]
        _tell(channel, frame=[frame.index, frame.time_s, at, height, width], decode_s=decode_s, **_facts(reader))
        del frame
        started = time.perf_counter()


def _wait_taken(channel: socket.socket) -> int:
    """Returns how many more pictures the client released, waiting for one; exits if the client is gone."""
    taken = len(channel.recv(1 << 10))
    if not taken:
        os._exit(0)
    return taken


def _facts(reader: FrameReader) -> dict[str, Any]:
    """Returns what is known so far beside the pictures; all of it only at the end."""
    return {
        "decoded": reader.frames_decoded,
        "adjustments": reader.adjustments,
        "caveats": reader.caveats,
        "truncated": reader.truncated,
    }


def _tell(channel: socket.socket, **message: Any) -> None:
    channel.sendall(json.dumps(message).encode() + b"\n")


def _named(error: BaseException, path: str) -> str:
    """Returns an error in one line, which names the file."""
    text = one_line(error, _LONGEST_MESSAGE)
    return text if str(Path(path)) in text else f"{path}: {text}"


def _set_limits(max_pixels: int | None, most_bytes: int = 0) -> None:
    """Bounds memory, computing time, open files, and the length of a file that is written: 0 forbids it."""
    pages = int(open("/proc/self/statm").read().split()[0])  # noqa: PTH123, SIM115
    bytes_now = pages * resource.getpagesize()
    machine_bytes = os.sysconf("SC_PHYS_PAGES") * resource.getpagesize()
    memory_bytes = max(LEAST_MEMORY_BYTES, min(MEMORY_BYTES, machine_bytes, *_pixel_bytes(max_pixels)))
    _limit(resource.RLIMIT_AS, bytes_now + memory_bytes)
    _limit(resource.RLIMIT_NOFILE, _OPEN_FILES)
    _limit(resource.RLIMIT_FSIZE, most_bytes)
    _limit(resource.RLIMIT_CORE, 0)
    # If the machine runs out of memory, the kernel kills this process first, not the one that holds the results.
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123
        file.write("1000")
    _allow_step()


def _limit(what: int, most: int) -> None:
    """Sets a limit for good, no higher than the one that this process already has."""
    _, allowed = resource.getrlimit(what)
    most = most if allowed == resource.RLIM_INFINITY else min(most, allowed)
    resource.setrlimit(what, (most, most))


def _pixel_bytes(max_pixels: int | None) -> tuple[int, ...]:
    """Returns what pictures of so many pixels take at most, if there is a limit; it holds before a header is read."""
    return () if max_pixels is None else (_PIXEL_BYTES * max_pixels,)


def _allow_step() -> None:
    """Extends the limit on CPU time, at which the system ends the process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    soft = int(used.ru_utime + used.ru_stime) + STEP_CPU_S
    resource.setrlimit(resource.RLIMIT_CPU, (soft if most == resource.RLIM_INFINITY else min(soft, most), most))


@contextmanager
def _heart(reader: FrameReader, ring: Ring) -> Iterator[None]:
    """Records progress in shared memory, and extends the CPU limit while frames keep coming.

    Raises:
        NoResourcesError: No thread can be started.
    """
    done = threading.Event()

    def beat() -> None:
        seen = 0
        while not done.wait(_BEAT_S):
            if reader.frames_decoded > seen:
                seen = reader.frames_decoded
                ring.note(seen)
                _allow_step()

    thread = threading.Thread(target=beat, name="tinydf-heart", daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        raise NoResourcesError(str(error)) from error
    try:
        yield
    finally:
        done.set()
        thread.join()
        ring.note(reader.frames_decoded)
