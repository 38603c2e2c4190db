"""The start of a file -> how many video tracks it holds, and what kinds of sound, for formats without an index."""

from __future__ import annotations

import re
from dataclasses import dataclass

_OGG_VIDEO = (b"\x80theora", b"BBCD", b"OVP80", b"\x01video\0\0\0")
_OGG_SOUND = {b"\x01vorbis": "Vorbis", b"OpusHead": "Opus", b"\x7fFLAC": "FLAC", b"Speex   ": "Speex"}
_OGG_HEAD_BYTES = 27
_SYNCS = 8
"""First bytes in a row that tell packets from what happens to look like one."""
_TS_VIDEO_TYPES = frozenset({0x01, 0x02, 0x10, 0x1B, 0x20, 0x21, 0x24, 0x33, 0xD1, 0xEA})
"""Stream types of ISO/IEC 13818-1, table 2-34, and those registered for AVS and VC-1, that are video."""


@dataclass(frozen=True, slots=True)
class Tracks:
    """What was found.

    Attributes:
        videos: Number of video tracks, None where the start does not say.
        sounds: Kinds of sound.
    """

    videos: int | None = None
    sounds: tuple[str, ...] = ()


def ogg_tracks(content: bytes) -> Tracks:
    """Returns what the first pages of an Ogg file (RFC 3533) announce: those of all tracks come before any other."""
    videos, sounds, at = 0, [], 0
    while content[at : at + 4] == b"OggS" and len(content) > at + _OGG_HEAD_BYTES and content[at + 5] & 2:
        count = content[at + 26]
        start = at + _OGG_HEAD_BYTES + count
        head = content[start : start + 8]
        videos += head.startswith(_OGG_VIDEO)
        sounds += [name for magic, name in _OGG_SOUND.items() if magic in content[start : start + 9]]
        at = start + sum(content[at + _OGG_HEAD_BYTES : start])
    return Tracks(videos if videos or sounds else None, tuple(sounds) or ("Ogg",))


def ogg_is_cut_off(tail: bytes) -> bool:
    """Returns whether the last page in the last bytes of an Ogg file is not whole."""
    at = tail.rfind(b"OggS")
    if at < 0 or len(tail) < at + _OGG_HEAD_BYTES:
        return at >= 0
    start = at + _OGG_HEAD_BYTES + tail[at + 26]
    return len(tail) < start + sum(tail[at + _OGG_HEAD_BYTES : start])


def transport_is_cut_off(tail: bytes, head: int, length: int) -> bool:
    """Returns whether a transport stream ends within a packet. Recorders and FFmpeg write whole ones, also at the end.

    Args:
        tail: Last bytes of the file.
        head: Bytes before each packet's first, see ``packet_layout``.
        length: Bytes from one packet to the next.
    """
    last = len(tail) - head - 1
    for at in range(last, max(last - len(tail), _SYNCS * length), -1):
        if all(tail[at + head - k * length] == 0x47 for k in range(_SYNCS)):
            return len(tail) - at < length
    return False


def avi_tracks(content: bytes) -> Tracks:
    """Returns what the stream headers of an AVI file say."""
    return Tracks(len(re.findall(rb"strh....vids", content, re.DOTALL)) or None)


def transport_tracks(packets: bytes) -> Tracks:
    """Returns what the program map of a transport stream lists: the largest, since programs repeat it.

    Args:
        packets: 188 bytes each, ISO/IEC 13818-1.
    """
    most = 0
    for at in range(0, len(packets) - 187, 188):
        packet = packets[at : at + 188]
        if packet[0] != 0x47 or not packet[1] & 0x40 or not packet[3] & 0x10:
            continue
        start = 5 + packet[4] if packet[3] & 0x20 else 4
        if start < 188 and (found := _map_videos(packet[start + 1 + packet[start] :])) is not None:
            most = max(most, found)
    return Tracks(most or None)


def _map_videos(section: bytes) -> int | None:
    """Returns the video streams of a program map section (table 2), None for another."""
    if len(section) < 16 or section[0] != 2 or section[1] & 0xF0 != 0xB0:
        return None
    end = min(len(section), 3 + ((section[1] & 15) << 8 | section[2]) - 4)
    at = 12 + ((section[10] & 15) << 8 | section[11])
    videos = 0
    while at + 5 <= end:
        videos += section[at] in _TS_VIDEO_TYPES
        at += 5 + ((section[at + 3] & 15) << 8 | section[at + 4])
    return videos


def program_tracks(content: bytes) -> Tracks:
    """Returns how many different video streams the start of an MPEG program stream carries."""
    return Tracks(len(set(re.findall(rb"\x00\x00\x01([\xe0-\xef])", content))) or None)
