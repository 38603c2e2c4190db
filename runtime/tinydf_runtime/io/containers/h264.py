"""H.264 headers -> whether pictures may be interlaced."""

from __future__ import annotations

from collections.abc import Iterator

# Profiles whose header says more about colour, ITU-T H.264, 7.3.2.1.1.
_HIGH_PROFILES = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244})
_MOST_SPS_BYTES = 1024
"""Bytes read at most: some dozens in practice; scaling lists may fill a few hundred."""
_WIDEST_NUMBER = 32
_SPS_STARTS = (b"\x00\x00\x01\x67", b"\x00\x00\x01\x47", b"\x00\x00\x01\x27")


def may_interlace(header: bytes) -> bool:
    """Returns whether a decoder configuration (an avcC box) lets pictures consist of two fields.

    Args:
        header: Content of the box, ISO/IEC 14496-15; anything else gives False.
    """
    length = int.from_bytes(header[6:8], "big")
    return _has_fields(header[8 : 8 + length]) if length and header[:1] == b"\x01" else False


def stream_may_interlace(content: bytes) -> bool:
    """Returns the same for the start of a stream, such as an MPEG transport stream, that carries its headers along."""
    at = min((found for start in _SPS_STARTS if (found := content.find(start)) >= 0), default=-1)
    return at >= 0 and _has_fields(content[at + 3 : at + 67])


def _has_fields(sps: bytes) -> bool:
    """Returns whether a sequence parameter set has frame_mbs_only_flag 0."""
    bits = _bits(sps[4:_MOST_SPS_BYTES].replace(b"\x00\x00\x03", b"\x00\x00"))
    try:
        _number(bits)
        if sps[1] in _HIGH_PROFILES:
            _skip_colour(bits)
        _number(bits)
        order = _number(bits)
        if order == 0:
            _number(bits)
        elif order == 1:
            next(bits)
            _numbers(bits, 2)
            _numbers(bits, _number(bits))
        _number(bits)
        next(bits)
        _numbers(bits, 2)
        return next(bits) == 0
    except (StopIteration, IndexError):
        return False


def _skip_colour(bits: Iterator[int]) -> None:
    """Skips what high profiles say: chroma format, depths, and scaling lists."""
    chroma = _number(bits)
    if chroma == 3:
        next(bits)
    _numbers(bits, 2)
    next(bits)
    if not next(bits):
        return
    for number in range(12 if chroma == 3 else 8):
        if next(bits):
            last = step = 8
            for _ in range(16 if number < 6 else 64):
                if step:
                    code = _number(bits)
                    step = (last + (code + 1) // 2 * (1 if code % 2 else -1)) % 256
                last = step or last


def _numbers(bits: Iterator[int], count: int) -> None:
    """Skips so many numbers."""
    for _ in range(min(count, 256)):
        _number(bits)


def _number(bits: Iterator[int]) -> int:
    """Returns the next Exp-Golomb number.

    Raises:
        StopIteration: There is none, or one wider than any that may stand there.
    """
    width = 0
    while not next(bits):
        width += 1
        if width > _WIDEST_NUMBER:
            raise StopIteration
    value = 1
    for _ in range(width):
        value = value << 1 | next(bits)
    return value - 1


def _bits(content: bytes) -> Iterator[int]:
    """Yields bits, the highest of each byte first."""
    for byte in content:
        for place in range(7, -1, -1):
            yield byte >> place & 1
