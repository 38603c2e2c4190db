"""Motion JPEG in a transport stream: there is no stream type for it, so that FFmpeg writes it as private data.

It does not find it again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tinydf_runtime.io.containers.container import plain_packets

_MOST_BYTES = 1 << 29
"""Of a file, which is held in memory."""
_PACKET = 188
_PACKET_START, _JPEG_START = b"\0\0\1", b"\xff\xd8\xff"
_CLOCK_HZ = 90_000


@dataclass(frozen=True, slots=True)
class PrivateJpegs:
    """Pictures of a transport stream.

    Attributes:
        content: JPEG files, one behind the other.
        fps: Pictures a second, None where their times do not say.
    """

    content: bytes
    fps: float | None


def read_private_jpegs(path: Path) -> PrivateJpegs | None:
    """Returns the JPEG pictures in the first stream of a transport stream that holds some, None where none does.

    Raises:
        OSError: The file cannot be read.
    """
    if path.stat().st_size > _MOST_BYTES:
        return None
    packets = plain_packets(path.read_bytes())
    wanted, parts, times = -1, [], []
    for stream, begins, payload in _payloads(packets):
        if begins and payload.startswith(_PACKET_START) and len(payload) > 9:
            picture = payload[9 + payload[8] :]
            if wanted < 0 and picture.startswith(_JPEG_START):
                wanted = stream
            if stream == wanted:
                parts.append(picture)
                times += [_time_stamp(payload)] if payload[7] & 0x80 and len(payload) > 14 else []
        elif stream == wanted and not begins:
            parts.append(payload)
    if not parts:
        return None
    lasting = (max(times) - min(times)) / _CLOCK_HZ if times else 0.0
    return PrivateJpegs(b"".join(parts), (len(times) - 1) / lasting if lasting > 0 else None)


def _payloads(packets: bytes) -> Iterator[tuple[int, bool, bytes]]:
    """Yields which stream a packet is of, whether something begins in it, and what it carries (ISO/IEC 13818-1)."""
    for at in range(0, len(packets) - _PACKET + 1, _PACKET):
        packet = packets[at : at + _PACKET]
        if packet[0] == 0x47 and packet[3] & 0x10:
            start = 5 + packet[4] if packet[3] & 0x20 else 4
            yield (packet[1] & 0x1F) << 8 | packet[2], bool(packet[1] & 0x40), packet[start:]


def _time_stamp(header: bytes) -> int:
    """Returns when a picture is shown, in ticks of 90 kHz, from the header before it."""
    first, second, third = header[9], int.from_bytes(header[10:12], "big"), int.from_bytes(header[12:14], "big")
    return (first >> 1 & 7) << 30 | (second >> 1) << 15 | third >> 1
