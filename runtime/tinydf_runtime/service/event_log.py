"""Events -> lines of JSON, for log collectors."""

from __future__ import annotations

import json
import logging
import threading
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click

from tinydf_runtime.errors import OutputError
from tinydf_runtime.io.address import mask_credentials
from tinydf_runtime.results import InputReport

LOG_SCHEMA = "tinydf.log/1"
STDERR = Path("-")


class EventLog(logging.Handler):
    """Appends one line an event; takes the library's own warnings too while it is entered.

    Every line has ``schema``, ``time`` (UTC), ``level`` and ``event``: "start", "input", "warning" or "end".
    """

    def __init__(self, path: Path) -> None:
        """Opens the file.

        Args:
            path: Lines are added at its end; ``-`` is stderr.

        Raises:
            OutputError: It cannot be opened for writing.
        """
        super().__init__(logging.WARNING)
        self._path = path
        self._writing = threading.Lock()
        try:
            # Not buffered: lines are whole at once, and those of two processes do not mix.
            self._file = None if path == STDERR else path.open("ab", buffering=0)
        except OSError as error:
            raise OutputError(f"{path}: could not be opened ({error.strerror}). Check the folder.") from error

    def __enter__(self) -> EventLog:
        """Begins to take warnings, and returns itself."""
        logging.getLogger("tinydf_runtime").addHandler(self)
        return self

    def __exit__(self, *exception: object) -> None:
        """Takes no more, and closes the file."""
        logging.getLogger("tinydf_runtime").removeHandler(self)
        if self._file is not None:
            self._file.close()
        self.close()

    def write(self, event: str, level: str = "info", **facts: Any) -> None:
        """Appends a line.

        Raises:
            OutputError: The file takes no more.
        """
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        head = {"schema": LOG_SCHEMA, "time": now, "level": level, "event": event}
        line = json.dumps({**head, **facts}, allow_nan=False) + "\n"
        try:
            with self._writing:
                if self._file is None:
                    click.echo(line, nl=False, err=True)
                else:
                    self._file.write(line.encode())
        except OSError as error:
            raise OutputError(f"{self._path}: could not be written ({error.strerror}). Check free space.") from error

    def note(self, item: InputReport) -> None:
        """Appends what was found in an input."""
        self.write(
            "input",
            "error" if item.verdict == "error" else "info",
            path=mask_credentials(item.path),
            sha256=item.sha256,
            kind=item.kind,
            status=item.status,
            verdict=item.verdict,
            fake_probability=item.fake_probability,
            reasons=list(item.reasons),
            people=len(item.tracks),
            frames_scored=item.frames_scored,
            total_s=item.timing.total_s,
            message=item.message,
        )

    def emit(self, record: logging.LogRecord) -> None:
        """Appends a warning of the library."""
        self.write("warning", record.levelname.lower(), logger=record.name, message=record.getMessage())
