"""Drawn video -> the same with the sound of its source, read by PyAV in a child process or by an ffmpeg command."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import threading
import time
from importlib.util import find_spec
from pathlib import Path

from tinydf_runtime.errors import OutputError, UnavailableError, UnreadableInputError, install_line
from tinydf_runtime.io.files import temporary_file
from tinydf_runtime.render.av_sound import merge_sound
from tinydf_runtime.sandbox.call import call_in_child
from tinydf_runtime.trust import strict

_NO_SOUND = f"the drawn video has no sound. For that, install PyAV, in the clone of TinyDF: {install_line('video')}"
_AVI_NOTE = "an .avi is drawn without sound. Choose .mp4 or .mkv to keep it."
_MORE_BYTES = 1 << 30
"""Bytes that a file with sound may be longer than the drawn video and its source together."""
_LONGEST_NOTE = 4096


def keep_sound(
    path: Path,
    source: Path,
    sandbox: bool = True,
    deadline_s: float | None = None,
    stop: threading.Event | None = None,
) -> str | None:
    """Adds the sound of its source to a drawn video. Where that fails, the video stays as it is.

    Args:
        path: The drawn video.
        source: File whose sound is kept.
        sandbox: Read it in a child process, see ``Analyzer``.
        deadline_s: Time of ``time.monotonic`` at which that ends.
        stop: Ends it when set.

    Returns:
        What the video lacks, None where nothing is lost.

    Raises:
        OutputError: The file cannot be written.
    """
    if path.suffix == ".avi":
        return _AVI_NOTE
    if not find_spec("av"):
        return None if _add_with_command(path, source, deadline_s) else _NO_SOUND
    with temporary_file(path, path.suffix) as complete:
        sound, pictures, out = (os.path.abspath(name) for name in (source, path, complete))  # noqa: PTH100
        try:
            if sandbox:
                most_bytes = path.stat().st_size + source.stat().st_size + _MORE_BYTES
                found = call_in_child(
                    merge_sound, sound, pictures, out, most_bytes=most_bytes, deadline_s=deadline_s, stop=stop
                )
            else:
                found = merge_sound(sound, pictures, out, lambda: None)
            kept = strict.flag(found[0])
            note: str | None = strict.optional(found[1], strict.text, _LONGEST_NOTE)
            failed: int | None = strict.optional(found[2], strict.whole, 0, 1 << 31)
        except (UnreadableInputError, UnavailableError, ValueError, LookupError) as error:
            return f"the sound of {source.name} is left out: {error}."
        if failed is not None and not (sandbox and failed == errno.EFBIG):
            raise OutputError(f"{path}: could not be written ({os.strerror(failed)}). Check folder and free space.")
        if failed is not None:
            return f"the sound of {source.name} is left out: it takes more room than the file that it comes from."
        if kept:
            complete.replace(path)
    return note


def _add_with_command(path: Path, source: Path, deadline_s: float | None) -> bool:
    """Puts the sound of ``source`` into a video, and its pictures into H.264, with an ``ffmpeg`` command.

    Returns:
        Whether that was possible; if not, the file is as it was.
    """
    command = shutil.which("ffmpeg")
    if command is None:
        return False
    inputs = ["-i", f"file:{path}", "-i", f"file:{source.absolute()}", "-map", "0:v:0", "-map", "1:a?"]
    pictures = ["-c:v", "libx264", "-crf", "18", "-preset", "veryfast", "-pix_fmt", "yuv420p"]
    with temporary_file(path, path.suffix) as complete:
        for choice in (pictures, ["-c:v", "copy"]):
            for sound in ("copy", "aac"):
                arguments = [*inputs, *choice, "-c:a", sound, "-movflags", "+faststart", f"file:{complete}"]
                left_s = None if deadline_s is None else max(0.0, deadline_s - time.monotonic())
                try:
                    done = subprocess.run(
                        [command, "-nostdin", "-v", "quiet", "-y", *arguments],
                        stdin=subprocess.DEVNULL,
                        capture_output=True,
                        check=False,
                        timeout=left_s,
                    )
                except subprocess.TimeoutExpired:
                    return False
                if done.returncode == 0:
                    complete.replace(path)
                    return True
    return False
