"""Video file -> what its own headers promise and OpenCV does not tell. Nothing here decodes pictures.

OpenCV gives a frame count alone, and for most containers guesses it from the duration.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from tinydf_runtime.reading import matroska, mp4
from tinydf_runtime.reading.h264 import stream_may_interlace

PQ, HLG = 16, 18
"""The two HDR transfer functions, SMPTE ST 2084 and ARIB STD-B67, as ITU-T H.273 numbers them."""

_MP4_STARTS = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide"}
_MPEG2_START = b"\x00\x00\x01\xb3"
_SEARCHED_BYTES = 1 << 18
_SOUND_STARTS = {b"ID3": "MP3", b"OggS": "Ogg", b"fLaC": "FLAC", b"\xff\xfb": "MP3", b"\xff\xf1": "AAC"}


@dataclass(frozen=True, slots=True)
class Container:
    """What is known of a video file without decoding it.

    Attributes:
        cut_off: The file holds fewer bytes than its headers say.
        lists_frames: Its index lists every picture and all are shown, so that a count taken from it is exact.
        duration_s: How long its pictures are shown, None where the headers do not say so for the pictures alone.
        mirrored: Left and right are to be swapped after turning by ``rotation_deg``, which OpenCV does not know.
        rotation_deg: Clockwise turn that brings pictures upright, where ``mirrored``; else None.
        transfer: Number in ITU-T H.273 of how light became numbers; None where not said.
        sounds: What kinds of sound it holds, as the container names them.
        may_interlace: A picture may consist of two half pictures of two moments.
    """

    cut_off: bool = False
    lists_frames: bool = False
    duration_s: float | None = None
    mirrored: bool = False
    rotation_deg: int | None = None
    transfer: int | None = None
    sounds: tuple[str, ...] = ()
    may_interlace: bool = False

    @property
    def hdr(self) -> bool:
        """Whether its pictures are made for HDR screens."""
        return self.transfer in (PQ, HLG)


def read_container(path: Path) -> Container:
    """Reads the outermost headers of an MP4, QuickTime, Matroska, WebM or AVI file.

    Any other or damaged file gives a Container that knows nothing, but for the kind of a sound file.

    Raises:
        OSError: The file cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(12)
        try:
            if start[4:8] in _MP4_STARTS:
                return _of_mp4(mp4.read_headers(file, size))
            if start[:4] == matroska.EBML:
                found = matroska.read_headers(file)
                return Container(
                    cut_off=found.end > size,
                    transfer=found.transfer,
                    sounds=found.sounds,
                    may_interlace=found.may_interlace,
                )
            if start[:4] == b"RIFF" and start[8:12] == b"AVI ":
                return Container(8 + int.from_bytes(start[4:8], "little") > size)
            if start[:4] == b"\x00\x00\x01\xba" or b"G" in (start[:1], start[4:5]):
                # A program or transport stream: MPEG-2, whose pictures are mostly interlaced, or H.264.
                file.seek(0)
                content = _join_packets(file.read(_SEARCHED_BYTES))
                return Container(may_interlace=_MPEG2_START in content or stream_may_interlace(content))
        except (struct.error, IndexError, ZeroDivisionError):
            return Container()
    if start[:4] == b"RIFF" and start[8:12] == b"WAVE":
        return Container(sounds=("WAV",))
    return Container(sounds=tuple(name for magic, name in _SOUND_STARTS.items() if start.startswith(magic)))


def _of_mp4(found: mp4.Headers) -> Container:
    """Returns what an MP4's boxes say, with the promises of a fragmented one left out: its index is not one list."""
    listed = found.shown_s is not None and not found.fragmented
    return Container(
        cut_off=found.cut_off,
        # An edit list that starts late hides pictures that were stored only because the shown ones need them.
        lists_frames=listed and (found.shown_s or 0.0) >= 0.999 * found.stored_s,
        duration_s=found.shown_s if listed else None,
        mirrored=found.mirrored_deg is not None,
        rotation_deg=found.mirrored_deg,
        transfer=found.transfer,
        sounds=found.sounds,
        may_interlace=found.may_interlace,
    )


def _join_packets(content: bytes) -> bytes:
    """Returns what the packets of a transport stream (ISO/IEC 13818-1) carry, of all its programs; else the same."""
    for head, length in ((0, 188), (4, 192)):
        if len(content) > length + head and content[head] == content[head + length] == 0x47:
            packets = [content[at + head : at + length] for at in range(0, len(content), length)]
            # Bit 5 of the fourth byte: a field whose length follows comes before the content.
            return b"".join(packet[5 + packet[4] if packet[3] & 0x20 else 4 :] for packet in packets if len(packet) > 4)
    return content
