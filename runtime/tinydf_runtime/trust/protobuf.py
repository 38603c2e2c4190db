"""Protocol buffers' wire format -> fields of a message, without the protobuf library; every length is checked.

https://protobuf.dev/programming-guides/encoding. Groups, which no file of ours has, count as damage.
"""

from __future__ import annotations

from collections.abc import Iterator

MOST_NUMBER = (1 << 29) - 1
"""Of a field, by the format. Some readers take the lower bits of a larger one."""
MOST_FIELDS = 2_000_000
"""Fields read in one file at most. The shipped classifier has some ten thousand."""

_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5


class WireError(ValueError):
    """The bytes are no message."""


class Wire:
    """Reads messages of one file and counts their fields, so that no file keeps it busy for long."""

    def __init__(self) -> None:
        """Starts with nothing read."""
        self._left = MOST_FIELDS

    def fields(self, message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
        """Yields number and value of each field: a whole number for a varint, else the field's bytes.

        Raises:
            WireError: The bytes are no message, or the file has too many fields.
        """
        at, end = 0, len(message)
        while at < end:
            self._left -= 1
            if self._left < 0:
                raise WireError(f"more than {MOST_FIELDS:,} fields")
            key, at = _varint(message, at)
            number, kind = key >> 3, key & 7
            if not 0 < number <= MOST_NUMBER:
                raise WireError(f"a field with the number {number}")
            if kind == _VARINT:
                value, at = _varint(message, at)
                yield number, value
                continue
            if kind == _BYTES:
                length, at = _varint(message, at)
            elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
                length = 8 if kind == _EIGHT_BYTES else 4
            else:
                raise WireError(f"a field of kind {kind}")
            if length > end - at:
                raise WireError("a field that goes beyond its message")
            yield number, message[at : at + length]
            at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """Returns a whole number and the place behind it."""
    value = 0
    for place in range(10):
        if at + place >= len(message):
            break
        byte = message[at + place]
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value, at + place + 1
    raise WireError("a number without an end")
