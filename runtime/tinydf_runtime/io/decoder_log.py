"""What FFmpeg prints while it decodes, in a process of its own -> whether pictures of the film are damaged.

Its decoders fill lost parts of a picture up from those before, and OpenCV passes no mark of that on. Messages are the
only trace, and they cost nothing. Decoders of VP8 and VP9 print none, that of HEVC few: they take noise for data.
"""

from __future__ import annotations

import os

VARIABLE, LEVEL = "OPENCV_FFMPEG_LOGLEVEL", "32"
"""What OpenCV reads when FFmpeg is first used, and the level of FFmpeg's information, at which it tells of damage."""
_READ_BYTES = 1 << 16
_LONGEST_LINE = 1 << 10
_DAMAGED = (
    # H.264 and HEVC, also by the layer that splits them into units, and where pictures that others need are missing.
    *(b"error while decoding MB", b"Invalid NAL unit size", b"Error splitting the input", b"decode_slice_header error"),
    *(b"Error parsing NAL unit", b"Invalid number of merging MVP candidates", b"Could not find ref with POC"),
    # MPEG-1, 2 and 4, H.263, Windows Media and Flash video.
    *(b"concealing ", b"Error at MB", b"ac-tex damaged", b"mcbpc damaged", b"cbpy damaged", b"slice mismatch"),
    *(b"Warning MVs not available", b"Invalid mb type"),
)


class DecoderLog:
    """Takes what this process prints, for good: only for a process that does nothing but decode one input."""

    def __init__(self) -> None:
        """Puts a pipe in the place of stdout, to which OpenCV prints; what does not fit is lost, and nothing waits."""
        self._end, begin = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        os.dup2(begin, 1)
        os.close(begin)
        self._rest = b""

    def tells_damage(self) -> bool:
        """Reads what was printed since the last call, and returns whether it tells of damage."""
        try:
            said = self._rest + os.read(self._end, _READ_BYTES)
        except BlockingIOError:
            return False
        # A line may come in two parts.
        self._rest = said[said.rfind(b"\n") + 1 :][-_LONGEST_LINE:]
        return any(words in said for words in _DAMAGED)
