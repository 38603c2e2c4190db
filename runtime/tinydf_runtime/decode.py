"""Input -> its sampled frames, decoded ahead of the consumer: in a child process, or in a thread of this one."""

from __future__ import annotations

from tinydf_runtime.io.file_frames import FileFrames
from tinydf_runtime.sandbox.client import ChildFrames
from tinydf_runtime.sandbox.start import AVAILABLE
from tinydf_runtime.types import Kind


def decode(
    source: str | int,
    kind: Kind,
    sample_fps: float | None = None,
    sandbox: bool = True,
    max_pixels: int | None = None,
) -> ChildFrames | FileFrames:
    """Returns a reader of an input that decodes once it is entered: enter it, then iterate.

    Args:
        source: Path or address.
        kind: What it is, see ``kind_of``. Addresses are read in this process: their servers are the user's choice.
        sample_fps: Frames wanted a second, None for all.
        sandbox: Use a child process where the system allows.
        max_pixels: See ``Limits``.
    """
    if sandbox and AVAILABLE and kind != "stream":
        return ChildFrames(str(source), sample_fps, "image" if kind == "image" else "video", max_pixels)
    return FileFrames(source, sample_fps, kind, max_pixels)
