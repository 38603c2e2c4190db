"""Unreadable pictures: a long run leaves them out, counts them and names them at its end."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import cv2

from tinydf_runtime.errors import OutsideImageError, UnreadableInputError

NAMED = 10
"""Pictures named in the line for people; the log has all."""
IN_A_ROW = 20
"""Consecutive unreadable pictures that end a run: the folder is gone or has changed."""
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Skipped:
    """Pictures left out so far, each reason once.

    Attributes:
        log: Text file with a reason a line, shared by the processes of a run and extended by a resumed one; without
            one, only this process knows.
    """

    log: Path | None = None
    _reasons: dict[str, None] = field(default_factory=dict)

    def note(self, reason: str) -> None:
        """Remembers a picture.

        Args:
            reason: Its name and what is wrong with it.
        """
        reason = " ".join(reason.split())
        if reason in self._reasons:
            return
        self._reasons[reason] = None
        if self.log is not None:
            # One write at the end of the file: lines of several processes do not mix.
            file = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            try:
                os.write(file, f"{reason}\n".encode("utf-8", "backslashreplace"))
            finally:
                os.close(file)

    def reasons(self) -> tuple[str, ...]:
        """Returns every reason once, in order."""
        logged: list[str] = []
        if self.log is not None and self.log.is_file():
            logged = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return tuple(dict.fromkeys([*logged, *self._reasons]))

    def line(self) -> str | None:
        """Returns how many pictures were left out and which, None for none."""
        reasons = self.reasons()
        if not reasons:
            return None
        more = "" if len(reasons) <= NAMED else f" And {len(reasons) - NAMED} more."
        count = "1 picture" if len(reasons) == 1 else f"{len(reasons)} pictures"
        return f"{count} left out: {' '.join(reasons[:NAMED])}{more}"


def until_readable(draw: Callable[[], Item], skipped: Skipped) -> Item:
    """Calls ``draw`` until it gives a readable picture, and returns that.

    Args:
        draw: Makes something of a picture of its own choice, another at each call.
        skipped: Remembers the others.

    Raises:
        UnreadableInputError: ``IN_A_ROW`` pictures in a row cannot be read.
    """
    reason = ""
    for _ in range(IN_A_ROW):
        try:
            return draw()
        except (UnreadableInputError, OutsideImageError, cv2.error) as error:
            reason = str(error)
            skipped.note(reason)
    raise UnreadableInputError(f"{IN_A_ROW} pictures in a row cannot be read. Is their folder still there? {reason}")
