"""Shared by all ``tinydf-`` commands: errors as one line and an exit code, Ctrl-C, the end of the process."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import click

from tinydf_runtime.errors import ExitCode, OutputError, TinyDFError, UsageError, is_out_of_memory
from tinydf_runtime.io.files import is_regular
from tinydf_runtime.io.user_folders import keep_caches_together
from tinydf_runtime.render.words import printable

_REFUSED = frozenset(
    getattr(errno, name, -1) for name in ("ENOSPC", "EPIPE", "EIO", "EFBIG", "EDQUOT", "EBADF", "EROFS")
)
"""Error numbers of a closed or full output."""


_WRITTEN = frozenset({"out", "json_path", "html", "plot", "fit"})
"""Parameters that name files to write. ``tinydf-run`` checks its own: its inputs are names, not paths."""


class OneLineCommand(click.Command):
    """A command that reports errors as one line: no traceback, no usage table."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the command and ends the process."""
        _fill_closed_streams()
        for stream in (sys.stdout, sys.stderr):
            # A file name may hold what the terminal's encoding does not; that must not end the run.
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")
        kwargs["standalone_mode"] = False
        keep_caches_together()
        try:
            with _ending_like_interrupted():
                code = self._run(*args, **kwargs)
        except TinyDFError as error:
            self._say(str(error))
            code = error.exit_code
        except click.ClickException as error:
            self._say(f"{error.format_message()} Try '{self.name} --help'.")
            code = error.exit_code
        except (click.Abort, KeyboardInterrupt):
            self._say("interrupted.")
            code = ExitCode.INTERRUPTED
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            self._say("out of memory. Close other programs, or let it do less at once: a smaller batch, fewer workers.")
            code = ExitCode.MISSING
        sys.exit(int(code or 0))

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command's function.

        Raises:
            UsageError: A file to be written is one to be read.
        """
        _keep_inputs(ctx.params)
        return super().invoke(ctx)

    def _run(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the command and flushes its output.

        Raises:
            OutputError: Standard output cannot be written: a full disk or a closed pipe.
        """
        try:
            code = super().main(*args, **kwargs)
            if sys.stdout is not None:
                sys.stdout.flush()
        except SystemExit as end:
            # Click and Rich exit so on a closed pipe; nothing of ours does.
            if end.code != 1:
                raise
            _drop_output()
            raise OutputError("standard output: was closed by its reader.") from end
        except OSError as error:
            # Errors of the system name the file; our own are complete.
            if isinstance(error, TinyDFError) or error.filename is not None or error.errno not in _REFUSED:
                raise
            _drop_output()
            raise OutputError(f"standard output: could not be written ({error.strerror}).") from error
        return code

    def _say(self, message: str) -> None:
        # If stderr is closed too, the exit code still tells.
        with suppress(OSError):
            click.echo(f"{self.name}: {printable(' '.join(message.split()))}", err=True)


class PromptCommand(OneLineCommand):
    """A command whose process ends at once when it is done.

    A camera or server may block a thread for seconds, and unloading the networks' libraries takes as long as judging
    some ten frames. Everything has been written by then.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the command and ends the process. With arguments, given from Python, that is left to the caller."""
        try:
            return self.main(*args, **kwargs)
        except SystemExit as end:
            if args or kwargs:
                raise
            # Unwritten output is reported by the normal exit.
            with suppress(OSError):
                for stream in filter(None, (sys.stdout, sys.stderr)):
                    stream.flush()
                os._exit(end.code if isinstance(end.code, int) else 1)
            raise


def _keep_inputs(params: dict[str, Any]) -> None:
    """Refuses to write onto a file that is to be read, or onto one that belongs to a model.

    Raises:
        UsageError: An output is an input.
    """
    named = [(name, one) for name, value in params.items() for one in (value if isinstance(value, tuple) else (value,))]
    paths = [(name, path) for name, path in named if isinstance(path, Path)]
    for out in (path for name, path in paths if name in _WRITTEN and is_regular(path)):
        for read in (path for name, path in paths if name not in _WRITTEN):
            beside = (read, read.with_name(f"{read.stem}.bin"), read.with_name(f"{read.name}.json"))
            if any(is_regular(one) and out.samefile(one) for one in beside):
                raise UsageError(f"{out}: is an input too, and would be overwritten. Choose another name.")


@contextmanager
def _ending_like_interrupted() -> Iterator[None]:
    """Makes SIGTERM end a command as Ctrl-C does: finished work is saved and temporary files are removed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    owner = os.getpid()

    def interrupt(number: int, frame: FrameType | None) -> None:
        if os.getpid() != owner:
            # A forked child, which has nothing to save.
            os._exit(128 + number)
        handler = signal.getsignal(signal.SIGINT)
        # A shell starts background jobs with SIGINT ignored.
        if not callable(handler):
            raise KeyboardInterrupt
        handler(signal.SIGINT, frame)

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        # Restores the handler of a program that called the command. None: not set from Python.
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)


class _ClosedStream(io.TextIOBase):
    """Standard output of a process that was started without one."""

    def write(self, text: str) -> int:
        """Takes nothing.

        Raises:
            OSError: Always.
        """
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))


def _fill_closed_streams() -> None:
    """Gives a process that was started without standard streams some that take nothing.

    Else the first file that is opened would take their number, and what a library prints would go into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free.
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is None:
        sys.stdout = _ClosedStream()


def _drop_output() -> None:
    """Discards further output: Python would complain again when it flushes at exit."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def leave_interrupts_to_parent() -> None:
    """Makes a worker process ignore Ctrl-C, which a terminal sends to all: its parent saves first, then ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def stopping_on_interrupt(stop: threading.Event) -> Iterator[None]:
    """Makes the first Ctrl-C end the work at the next frame, and the second one at once."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    # Only the main thread may set handlers; elsewhere there is no Ctrl-C to handle.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        # None: the handler was not set from Python and cannot be restored here.
        signal.signal(signal.SIGINT, signal.SIG_DFL if before is None else before)
