"""Any file name -> one that every decoder takes for what it is: the name of one file, and nothing else."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PLAIN = re.compile(r"[\w ./\\,()+=~@#&'!-]*", re.ASCII)
"""FFmpeg takes what stands before a colon for a protocol and ``%03d`` for numbered pictures; OpenCV's bindings crash on
names that are not UTF-8."""


@contextmanager
def readable_name(path: Path) -> Iterator[str]:
    """Yields a name under which the decoders of OpenCV and FFmpeg find a file, good within the block.

    The absolute path where that is plain; else a link to the file, with a plain name and the same ending.

    Raises:
        OSError: The file is not there.
    """
    absolute = os.path.abspath(path)  # noqa: PTH100
    if _PLAIN.fullmatch(absolute) or (sys.platform == "win32" and absolute.isascii()):
        yield absolute
    elif os.path.isdir("/proc/self/fd"):  # noqa: PTH112
        # A process that may be killed leaves no link behind that the system itself makes.
        descriptor = os.open(absolute, os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
    else:
        with tempfile.TemporaryDirectory() as folder:
            ending = path.suffix if _PLAIN.fullmatch(path.suffix) else ""
            link = Path(folder, f"input{ending}")
            link.symlink_to(absolute)
            yield str(link)
