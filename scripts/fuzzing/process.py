"""A call in a process of its own, with limits: how it ended, what it printed, and what it took."""

from __future__ import annotations

import os
import resource
import select
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, NoReturn

from tinydf_runtime.sandbox.start import stop

ADDRESS_BYTES = 12 << 30
"""A process that wants more gets an error, so that a test never takes the machine down."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a call.

    Attributes:
        code: Exit code; None where it was killed for taking too long; below 0: minus the signal that ended it.
        printed: What it printed to stderr.
        wall_s: How long it took.
        cpu_s: Computing time, that of the processes it started and waited for included.
        peak_mb: The most memory that the process itself took, 0 where it did not end by itself.
    """

    code: int | None
    printed: str
    wall_s: float
    cpu_s: float
    peak_mb: float


def call(action: Callable[[], object], limit_s: float) -> Ended:
    """Runs an action in a copy of this process, which may have loaded what it needs but must have no threads.

    Args:
        action: May raise SystemExit, as commands do.
        limit_s: Wall clock after which it is killed with all that it started.
    """
    with tempfile.TemporaryFile("w+", errors="replace") as errors, tempfile.TemporaryFile("w+") as facts:
        started = time.monotonic()
        pid = os.fork()
        if not pid:
            _run(action, errors, facts)
        killed = not _ends_within(pid, limit_s)
        if killed:
            os.killpg(pid, signal.SIGKILL)
        _, status, usage = os.wait4(pid, 0)
        wall_s = time.monotonic() - started
        _end_group(pid)
        errors.seek(0)
        facts.seek(0)
        return Ended(
            None if killed else os.waitstatus_to_exitcode(status),
            errors.read(),
            wall_s,
            usage.ru_utime + usage.ru_stime,
            float(facts.read() or 0),
        )


def _run(action: Callable[[], object], errors: IO[str], facts: IO[str]) -> NoReturn:
    """Does the action and ends the process, as an interpreter would."""
    code = 1
    try:
        os.setsid()
        with open(os.devnull, "r+b") as nothing:  # noqa: PTH123
            os.dup2(nothing.fileno(), 0)
            os.dup2(nothing.fileno(), 1)
        os.dup2(errors.fileno(), 2)
        sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_BYTES, ADDRESS_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        action()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        # As at the end of an interpreter: the decoding server is ended and waited for, and so counted. What the copied
        # process has registered for its own end is not run.
        stop()
        sys.stderr.flush()
        facts.write(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))
        facts.flush()
        os._exit(code)


def _ends_within(pid: int, limit_s: float) -> bool:
    """Waits for a process, and returns whether it ended in time."""
    descriptor = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(limit_s * 1000))
    finally:
        os.close(descriptor)


def _end_group(pid: int) -> None:
    """Ends what a process has left behind."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
