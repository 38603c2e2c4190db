"""Starts the fork server once per process, and sends it requests."""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
import threading
from contextlib import suppress

from tinydf_runtime.errors import NoResourcesError, UnavailableError, is_no_resources
from tinydf_runtime.io.decoder_log import LEVEL, VARIABLE

AVAILABLE = sys.platform == "linux"
"""Whether the sandbox works here: on Linux only; elsewhere files are decoded in the calling process."""

MOST_PIXELS = 1 << 28
"""Pixels of a picture that is decoded: 16384 x 16384. Larger ones are refused by their headers."""
_SETTINGS = {
    # Each child decodes one input and needs no threads for linear algebra; FFmpeg has its own.
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENCV_IO_MAX_IMAGE_PIXELS": str(MOST_PIXELS),
    # Read by the child that it decodes for, see ``DecoderLog``.
    VARIABLE: LEVEL,
}
_BOOT = "import sys; sys.path[:] = {path!r}; from tinydf_runtime.sandbox.server import main; main({descriptor})"
_END_S = 5

_lock = threading.Lock()
_running: tuple[int, subprocess.Popen[bytes], socket.socket] | None = None


def ask_server(request: bytes, memory: int) -> socket.socket:
    """Sends a request, and returns the socket on which its worker answers.

    Args:
        request: See ``worker.work``.
        memory: Descriptor of the memory for pictures.

    Raises:
        UnavailableError: No process can be started.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        for last in (False, True):
            control = running()
            try:
                socket.send_fds(control, [request], [theirs.fileno(), memory])
                return ours
            except OSError as error:
                # It was killed from outside. One more is started, unless another thread has done so.
                stop(control)
                if last:
                    ours.close()
                    raise UnavailableError(f"decoding process: does not answer ({error}). {_ADVICE}") from error
    raise AssertionError


def running() -> socket.socket:
    """Returns the socket for requests, and starts the server where there is none in this process.

    Raises:
        UnavailableError: No process can be started.
        NoResourcesError: None can be started now.
    """
    global _running
    with _lock:
        if _running is not None and _running[0] == os.getpid() and _running[1].poll() is None:
            return _running[2]
        if _running is not None:
            _running[2].close()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            boot = _BOOT.format(path=sys.path, descriptor=theirs.fileno())
            try:
                process = subprocess.Popen(
                    [sys.executable, "-c", boot],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    env={**os.environ, **_SETTINGS},
                )
            except (OSError, ValueError) as error:
                ours.close()
                kind = NoResourcesError if is_no_resources(error) else UnavailableError
                raise kind(f"decoding process: cannot be started ({error}). {_ADVICE}") from error
        _running = (os.getpid(), process, ours)
        return ours


def stop(only: socket.socket | None = None) -> None:
    """Ends the server, where this process has started one, and waits for it.

    Args:
        only: Its socket for requests: a server that was started since is left alone. None ends any.
    """
    global _running
    with _lock:
        if _running is None or _running[0] != os.getpid() or only not in (None, _running[2]):
            return
        _, process, control = _running
        _running = None
    control.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_END_S)


atexit.register(stop)
_ADVICE = "Decode in this process instead: --no-sandbox, or Analyzer(sandbox=False)."
