"""Video file -> whether pictures of it are damaged. FFmpeg fills them up from those before, and OpenCV does not tell.

Where PyAV is not installed (extra ``video``), or for a codec that cannot tell, nothing is found.
"""

from __future__ import annotations

from collections.abc import Generator
from importlib.util import find_spec
from pathlib import Path

from tinydf_runtime.io.opencv import readable_name

_STRICT = frozenset({"hevc"})
"""Codecs whose decoder marks no picture, and tells of some damage where it is asked to stop at it."""
_TELLING = (
    frozenset({"h264", "mpeg1video", "mpeg2video", "mpeg4", "msmpeg4v3", "wmv1", "wmv2", "h263", "flv1"}) | _STRICT
)
_ONE_EACH = frozenset({"h264", "hevc"})
"""Codecs of which each packet gives one picture, unless it is interlaced."""
_FEW_LOST, _SHARE_LOST = 8, 0.1
"""Packets that may give no picture: the first ones of a recording that begins midway, and what needs those."""
_MOST_PIXELS = 3840 * 2160
"""Of larger pictures a second decoder might take the memory that the first one needs."""
_LAST_PICTURES = 6
"""Damage in these says that the file was cut off, or a recording stopped there, which is told elsewhere."""
_MOST_FAILURES = 100_000


class DamageCheck:
    """Decodes a film beside its reader, packet by packet, without making pictures of it.

    Attributes:
        path: The film.
    """

    def __init__(self, path: Path) -> None:
        """Opens nothing yet."""
        self.path = path
        self._places: list[int] = []
        self._pictures = self._sent = 0
        self._packets = self._walk()

    def step(self) -> None:
        """Decodes the next packet, if there is one."""
        next(self._packets, None)

    def found(self) -> bool:
        """Decodes the rest, and returns whether a picture before the last ones is damaged, or many gave none."""
        for _ in self._packets:
            pass
        lost = self._sent - self._pictures
        return lost > max(_FEW_LOST, _SHARE_LOST * self._sent) or any(
            place < self._pictures - _LAST_PICTURES for place in self._places
        )

    def close(self) -> None:
        """Closes the file."""
        self._packets.close()

    def _walk(self) -> Generator[None, None, None]:
        """Decodes the film; ends early where PyAV cannot open it."""
        if not find_spec("av"):
            return
        import av

        try:
            with readable_name(self.path) as name, av.open(f"file:{name}") as container:
                stream = container.streams.video[0]
                decoder = stream.codec_context
                if decoder.name not in _TELLING or decoder.width * decoder.height > _MOST_PIXELS:
                    return
                decoder.thread_count = 1
                # Smoothed edges take time and show no damage.
                decoder.options = {"skip_loop_filter": "all"} | (
                    {"err_detect": "explode"} if decoder.name in _STRICT else {}
                )
                packets = container.demux(stream)
                for _ in range(_MOST_FAILURES):
                    try:
                        for packet in packets:
                            counts = decoder.name in _ONE_EACH and packet.size > 0 and not packet.is_discard
                            self._sent += counts
                            for picture in packet.decode():
                                self._take(picture.is_corrupt)
                                # Each of its packets may be half a picture.
                                self._sent -= self._sent if picture.interlaced_frame else 0
                            yield
                        return
                    except (av.FFmpegError, EOFError):
                        self._note()
                        yield
        except (av.FFmpegError, EOFError, IndexError, OSError, ValueError, MemoryError):
            return

    def _take(self, damaged: bool) -> None:
        """Counts a picture. Before the first whole one a recording may have begun midway."""
        if damaged:
            self._note()
        if self._pictures or not damaged:
            self._pictures += 1

    def _note(self) -> None:
        """Notes damage at the place that was reached."""
        if self._pictures and len(self._places) < _MOST_FAILURES:
            self._places.append(self._pictures)
