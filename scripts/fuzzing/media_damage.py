"""Whole media, damaged: cut off, bits turned over, parts missing or doubled, lengths of boxes and chunks changed."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from functools import partial

from fuzzing import bases
from fuzzing.case import Case, rng_of

_HEAD_BYTES = 600
_LENGTHS = (0, 1, 7, 8, 0x7FFFFFFF, 0xFFFFFFFF)
_BOXES = b"ftyp moov mvhd trak tkhd mdia mdhd hdlr minf stbl stsd avc1 avcC stts stsc stsz stco mdat edts elst".split()
_COUNTS = (b"stsd", b"stts", b"stsc", b"stsz", b"stco", b"elst")


def cases(seed: int) -> Iterator[Case]:
    """Yields damaged media of every container and codec."""
    for base in bases.names():
        for word, damage in _DAMAGES.items():
            name = f"{word}_{base}"
            yield Case(name, f"damage {word}", partial(_damaged, base, damage, seed, name))
    for word, kinds, change in (("length", _BOXES, _with_length), ("count", _COUNTS, _with_count)):
        for kind in kinds:
            for value in _LENGTHS:
                make = partial(change, "h264.mp4", kind, value)
                yield Case(f"{word}_{kind.decode()}_{value:x}.mp4", f"box {word}", make)
    for base, start in (
        ("h264.avi", rb"strf|strh|movi|idx1|LIST|hdrl"),
        ("photo.webp", rb"VP8 "),
        ("apng.png", rb"acTL|fcTL|fdAT"),
    ):
        for kind in start.split(b"|"):
            for value in (0, 0x7FFFFFFF, 0xFFFFFFFF):
                make = partial(_with_chunk_length, base, kind, value)
                yield Case(f"chunk_{kind.decode().strip()}_{value:x}_{base}", "chunk length", make)


def _damaged(base: str, damage: Callable[[bytearray, random.Random], bytes], seed: int, name: str) -> bytes:
    return damage(bytearray(bases.whole(base)), rng_of(seed, name))


def _cut(content: bytearray, rng: random.Random) -> bytes:
    return bytes(content[: rng.randrange(1, len(content))])


def _cut_in_head(content: bytearray, rng: random.Random) -> bytes:
    return bytes(content[: rng.randrange(1, _HEAD_BYTES)])


def _cut_at_end(content: bytearray, rng: random.Random) -> bytes:
    return bytes(content[: -rng.randrange(1, 400)])


def _flip(content: bytearray, rng: random.Random, first: int, last: int, count: int) -> bytes:
    for _ in range(count):
        content[rng.randrange(first, min(last, len(content)))] ^= 1 << rng.randrange(8)
    return bytes(content)


def _flip_few(content: bytearray, rng: random.Random) -> bytes:
    return _flip(content, rng, 0, len(content), 8)


def _flip_many(content: bytearray, rng: random.Random) -> bytes:
    return _flip(content, rng, _HEAD_BYTES, len(content), len(content) // 100)


def _flip_head(content: bytearray, rng: random.Random) -> bytes:
    return _flip(content, rng, 4, _HEAD_BYTES, 6)


def _blank(content: bytearray, rng: random.Random) -> bytes:
    start = rng.randrange(len(content) // 2)
    length = len(content) // 4
    content[start : start + length] = bytes(length)
    return bytes(content)


def _twice(content: bytearray, rng: random.Random) -> bytes:
    """Puts a part of the file in a second time, so that nothing after it lies where the headers say."""
    start = rng.randrange(len(content) // 2)
    return bytes(content[: start + 2000] + content[start:])


def _noise(content: bytearray, rng: random.Random) -> bytes:
    """Keeps the start alone, so that a decoder is chosen, and goes on with noise."""
    kept = rng.randrange(16, 200)
    return bytes(content[:kept]) + rng.randbytes(20_000)


def _behind(content: bytearray, rng: random.Random) -> bytes:
    return bytes(content) + rng.randbytes(5000)


_DAMAGES = {
    "cut": _cut,
    "cuthead": _cut_in_head,
    "cutend": _cut_at_end,
    "few": _flip_few,
    "many": _flip_many,
    "head": _flip_head,
    "blank": _blank,
    "twice": _twice,
    "noise": _noise,
    "behind": _behind,
}


def _with_length(base: str, kind: bytes, value: int) -> bytes:
    """Returns an MP4 whose box says another length."""
    content = bytearray(bases.whole(base))
    at = content.rindex(kind) - 4
    content[at : at + 4] = value.to_bytes(4, "big")
    return bytes(content)


def _with_count(base: str, kind: bytes, value: int) -> bytes:
    """Returns an MP4 whose table says another number of entries."""
    content = bytearray(bases.whole(base))
    at = content.rindex(kind) + 8
    content[at : at + 4] = value.to_bytes(4, "big")
    return bytes(content)


def _with_chunk_length(base: str, kind: bytes, value: int) -> bytes:
    """Returns an AVI, WebP (length behind the name) or PNG (before it) whose chunk says another length."""
    content = bytearray(bases.whole(base))
    found = re.search(kind, content)
    assert found is not None, f"{base} has no {kind!r}"
    at = found.start() - 4 if base.endswith(".png") else found.start() + 4
    content[at : at + 4] = value.to_bytes(4, "big" if base.endswith(".png") else "little")
    return bytes(content)
