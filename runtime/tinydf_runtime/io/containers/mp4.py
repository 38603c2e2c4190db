"""MP4 and QuickTime boxes (ISO/IEC 14496-12) -> durations, orientation, colour and sounds."""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

import numpy as np

from tinydf_runtime.io.containers.h264 import may_interlace

_LARGEST_INDEX_BYTES = 256 << 20
_MOST_INDICES = 2
_LARGEST_FRAGMENT_BYTES = 16 << 20
_MOST_BOXES = 200_000
"""Outermost ones: a day of video in fragments of a second has two a second."""
_VISUAL_ENTRY_BYTES = 78
_EDIT = np.dtype([("duration", ">u4"), ("time", ">i4"), ("rate", ">u4")])
_WIDE_EDIT = np.dtype([("duration", ">u8"), ("time", ">i8"), ("rate", ">u4")])

# Signs of a track matrix (a, b, c, d) that swaps left and right -> clockwise turn before the swap.
_MIRRORED = {(-1, 0, 0, 1): 0, (1, 0, 0, -1): 180, (0, 1, 1, 0): 90, (0, -1, -1, 0): 270}


@dataclass(frozen=True, slots=True)
class Headers:
    """What the boxes say.

    Attributes:
        cut_off: A box reaches beyond the end of the file.
        fragmented: Pictures are listed piece by piece through the file.
        shown_s: How long the first video track is shown, None where not said.
        stored_s: How long what it stores would last.
        mirrored_deg: Clockwise turn before left and right are swapped, None where the picture is not mirrored.
        transfer: See ``Container``.
        sounds: See ``Container``.
        may_interlace: See ``Container``.
        videos: Video tracks.
        entries: Descriptions of the first one's pictures; more than one where size or codec change midway.
        encrypted: See ``Container``.
        number: The first one's track number, by which fragments name it.
        pictures: How many it stores, those in fragments included.
    """

    cut_off: bool = False
    fragmented: bool = False
    shown_s: float | None = None
    stored_s: float = 0.0
    mirrored_deg: int | None = None
    transfer: int | None = None
    sounds: tuple[str, ...] = ()
    may_interlace: bool = False
    videos: int = 0
    entries: int = 0
    encrypted: bool = False
    number: int = 0
    pictures: int = 0


def read_headers(file: BinaryIO, size: int) -> Headers:
    """Walks the top-level boxes of an open file of ``size`` bytes and reads the index.

    Raises:
        struct.error, IndexError, ValueError, ZeroDivisionError: A box is damaged.
    """
    at = 0
    indices: list[bytes] = []
    fragmented = False
    in_pieces: Counter[int] = Counter()
    for _ in range(_MOST_BOXES):
        if at + 8 > size:
            break
        file.seek(at)
        header = file.read(16)
        length = int.from_bytes(header[:4], "big")
        head = 8
        if length == 1:
            length, head = int.from_bytes(header[8:16], "big"), 16
        elif length == 0:
            length = size - at
        if length < head:
            break
        if header[4:8] == b"moov" and length <= _LARGEST_INDEX_BYTES and len(indices) < _MOST_INDICES:
            file.seek(at + head)
            indices.append(_unpacked(file.read(length - head)))
        if header[4:8] == b"moof":
            fragmented = True
            file.seek(at + head)
            for number, count in _runs(file.read(min(length - head, _LARGEST_FRAGMENT_BYTES))):
                in_pieces[number] += count
        at += length
    found = _read_index(indices[0] if indices else b"")
    # Players go by the first index; another one is that of a second film, which they do not show.
    others = sum(_read_index(other).videos for other in indices[1:] if fragmented or other != indices[0])
    pictures = found.pictures + in_pieces[found.number]
    return replace(found, cut_off=at > size, fragmented=fragmented, videos=found.videos + others, pictures=pictures)


def _unpacked(index: bytes) -> bytes:
    """Returns the content of a moov box, of one that QuickTime compressed (QuickTime File Format, cmov) what it holds.

    Raises:
        ValueError: It is compressed, and damaged or longer than any index.
    """
    packed = dict(boxes(dict(boxes(index)).get(b"cmov", b""))).get(b"cmvd", b"")
    if not packed:
        return index
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(packed[4:], _LARGEST_INDEX_BYTES)
    except zlib.error as error:
        raise ValueError(f"a compressed index is damaged ({error})") from error
    if unpacker.unconsumed_tail:
        raise ValueError("a compressed index is too long")
    return dict(boxes(content)).get(b"moov", b"")


def _runs(fragment: bytes) -> Iterator[tuple[int, int]]:
    """Yields track number and length of each row of pictures or sounds in a moof box."""
    for kind, content in boxes(fragment):
        if kind == b"traf":
            parts = list(boxes(content))
            number = next((int.from_bytes(part[4:8], "big") for name, part in parts if name == b"tfhd"), 0)
            yield from ((number, int.from_bytes(part[4:8], "big")) for name, part in parts if name == b"trun")


def _read_index(index: bytes) -> Headers:
    """Returns what a moov box says about its first video track and its sounds."""
    movie_scale = 0
    found = Headers()
    seen_pictures = False
    for kind, content in boxes(index):
        if kind == b"mvhd":
            movie_scale, _ = _scale_and_duration(content)
        if kind != b"trak":
            continue
        track = dict(boxes(content))
        media = dict(boxes(track.get(b"mdia", b"")))
        handler = media.get(b"hdlr", b"")[8:12]
        name, entry = _sample_entry(media)
        if handler == b"soun" and name:
            found = replace(found, sounds=(*found.sounds, name))
        # Depth and transparency are no film (auxv, ISO/IEC 14496-12, 12.1.1) unless they come first: they are decoded.
        is_film = _is_film(handler, media) and not (handler == b"auxv" and seen_pictures)
        if is_film:
            found = replace(found, videos=found.videos + 1)
        if is_film and not seen_pictures:
            seen_pictures = True
            shown_s, stored_s = _durations(track, media, movie_scale)
            found = replace(
                found,
                shown_s=shown_s,
                stored_s=stored_s,
                mirrored_deg=_mirrored_deg(track.get(b"tkhd", b"")),
                transfer=_transfer(entry),
                may_interlace=may_interlace(entry.get(b"avcC", b"")),
                entries=_count_entries(media),
                # What changes its codec midway is decoded to there; of two eyes in one stream the first is (MV-HEVC).
                videos=found.videos + max(0, len(_codecs(media)) - 1) + (b"lhvC" in entry),
                encrypted=name == "encv",
                number=_track_number(track.get(b"tkhd", b"")),
                pictures=_count_pictures(media),
            )
    return found


def _is_film(handler: bytes, media: dict[bytes, bytes]) -> bool:
    """Returns whether a track is one of pictures: FFmpeg takes it by its header, whatever its handler is named."""
    return handler == b"vide" or b"vmhd" in dict(boxes(media.get(b"minf", b"")))


def _durations(track: dict[bytes, bytes], media: dict[bytes, bytes], movie_scale: int) -> tuple[float | None, float]:
    """Returns how long a track is shown, None where not said, and how long what it stores would last."""
    scale, duration = _scale_and_duration(media[b"mdhd"]) if b"mdhd" in media else (0, 0)
    if not scale or not duration:
        return None, 0.0
    shown = _shown_duration(dict(boxes(track.get(b"edts", b""))).get(b"elst", b""))
    return shown / movie_scale if shown else duration / scale, duration / scale


def boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yields type and content of the boxes inside a box; one of length 0 goes on to the end (ISO/IEC 14496-12, 4.2)."""
    at = 0
    while at + 8 <= len(content):
        length = int.from_bytes(content[at : at + 4], "big") or len(content) - at
        if length < 8:
            return
        yield content[at + 4 : at + 8], content[at + 8 : at + length]
        at += length


def _scale_and_duration(header: bytes) -> tuple[int, int]:
    """Returns ticks a second and duration in ticks of an mvhd or mdhd box."""
    scale, duration = struct.unpack_from(">IQ", header, 20) if header[0] == 1 else struct.unpack_from(">II", header, 12)
    return scale, duration


def _shown_duration(edit_list: bytes) -> int:
    """Returns the duration of an elst box in ticks of the movie, without its empty edits; 0 without a list."""
    if not edit_list:
        return 0
    (count,) = struct.unpack_from(">I", edit_list, 4)
    entries = np.frombuffer(edit_list, _WIDE_EDIT if edit_list[0] == 1 else _EDIT, count, 8)
    return sum(entries["duration"][entries["time"] >= 0].tolist())


def _mirrored_deg(track_header: bytes) -> int | None:
    """Returns the turn of a mirrored picture from a tkhd box, None for one that is not mirrored."""
    at = 52 if track_header[:1] == b"\x01" else 40
    if len(track_header) < at + 36:
        return None
    a, b, _, c, d = struct.unpack_from(">5i", track_header, at)
    signs = (_sign(a), _sign(b), _sign(c), _sign(d))
    return _MIRRORED.get(signs)


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)


def _sample_entry(media: dict[bytes, bytes]) -> tuple[str, dict[bytes, bytes]]:
    """Returns the name of a track's codec and the boxes of its first visual sample entry."""
    table = dict(boxes(dict(boxes(media.get(b"minf", b""))).get(b"stbl", b"")))
    for kind, content in boxes(table.get(b"stsd", b"")[8:]):
        return kind.decode("ascii", "replace").strip(), dict(boxes(content[_VISUAL_ENTRY_BYTES:]))
    return "", {}


def _codecs(media: dict[bytes, bytes]) -> set[bytes]:
    """Returns the codecs that the descriptions of a track's pictures name."""
    table = dict(boxes(dict(boxes(media.get(b"minf", b""))).get(b"stbl", b"")))
    return {kind for kind, _ in boxes(table.get(b"stsd", b"")[8:])}


def _count_entries(media: dict[bytes, bytes]) -> int:
    """Returns how many descriptions of pictures a track has."""
    table = dict(boxes(dict(boxes(media.get(b"minf", b""))).get(b"stbl", b"")))
    return int.from_bytes(table.get(b"stsd", b"")[4:8], "big")


def _count_pictures(media: dict[bytes, bytes]) -> int:
    """Returns how many pictures the index of a track lists."""
    table = dict(boxes(dict(boxes(media.get(b"minf", b""))).get(b"stbl", b"")))
    return int.from_bytes((table.get(b"stsz") or table.get(b"stz2", b""))[8:12], "big")


def _track_number(track_header: bytes) -> int:
    """Returns a track's number from its tkhd box."""
    at = 20 if track_header[:1] == b"\x01" else 12
    return int.from_bytes(track_header[at : at + 4], "big")


def _transfer(entry: dict[bytes, bytes]) -> int | None:
    """Returns the transfer function that a colr box names."""
    colour = entry.get(b"colr", b"")
    if colour[:4] not in (b"nclx", b"nclc") or len(colour) < 10:
        return None
    return int.from_bytes(colour[6:8], "big")
