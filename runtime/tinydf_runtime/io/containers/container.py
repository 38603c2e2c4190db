"""Video file -> what its own headers promise and OpenCV does not tell. Nothing here decodes pictures.

OpenCV gives only a frame count, estimated from the duration for most containers.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from pathlib import Path

from tinydf_runtime.io.containers import matroska, mp4
from tinydf_runtime.io.containers.ends import ASF_START, ends_within_a_picture, says_it_is_longer
from tinydf_runtime.io.containers.h264 import stream_may_interlace
from tinydf_runtime.io.containers.more_films import NUT_START, asf_videos, nut_videos
from tinydf_runtime.io.containers.more_pictures import PNG_END, PNG_START
from tinydf_runtime.io.containers.packets import (
    avi_tracks,
    ogg_is_cut_off,
    ogg_tracks,
    program_tracks,
    transport_is_cut_off,
    transport_tracks,
)
from tinydf_runtime.io.containers.stills import read_gif

PQ, HLG = 16, 18
"""The two HDR transfer functions, SMPTE ST 2084 and ARIB STD-B67, as ITU-T H.273 numbers them."""

_MP4_STARTS = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide"}
_MPEG2_START = b"\x00\x00\x01\xb3"
_SEARCHED_BYTES = 1 << 18
_SOUND_STARTS = {b"ID3": "MP3", b"fLaC": "FLAC", b"\xff\xfb": "MP3", b"\xff\xf1": "AAC"}
_LAST_BYTES = 1 << 17
_PLAYLIST_STARTS = {
    b"#EXTM3U": "an HLS or M3U",
    b"ffconcat": "an FFmpeg",
    b"[playlist]": "a PLS",
    b"[reference]": "an ASX",
    b"<asx": "an ASX",
    b"<mpd": "a DASH",
    b"<?xml": "an XML",
    b"<smil": "a SMIL",
    b"v=0\r\n": "an SDP",
    b"v=0\n": "an SDP",
    b"rtsptext": "a QuickTime",
    b"smiltext": "a QuickTime",
}
"""First bytes of playlists, which name other files or addresses; compared case-insensitively."""


@dataclass(frozen=True, slots=True)
class Container:
    """What is known of a video file without decoding it.

    Attributes:
        cut_off: The file holds fewer bytes than its headers say, or ends within a packet.
        lists_frames: Its index lists every picture and all are shown, so that a count taken from it is exact.
        duration_s: How long its pictures are shown, None where the headers do not say so for the pictures alone.
        mirrored: Left and right are to be swapped after turning by ``rotation_deg``, which OpenCV does not know.
        rotation_deg: Clockwise turn that brings pictures upright, where ``mirrored``; else None.
        transfer: Transfer characteristics as ITU-T H.273 numbers them; None if not stated.
        sounds: What kinds of sound it holds, as the container names them.
        may_interlace: A frame may consist of two fields from two times.
        videos: Number of video tracks, None where the headers do not say.
        may_resize: The size of its pictures may change midway.
        resizes: It does, and the decoder stretches later frames to the first size.
        tells_length: Its headers state the whole length; else only what is left of a cut file can be counted.
        encrypted: Its pictures need a key.
        least_pictures: Pictures that decoding gives where all is well, 0 where that is not known.
        untimed: FFmpeg gives but the first of some pictures of a GIF, see ``Gif``.
    """

    cut_off: bool = False
    lists_frames: bool = False
    duration_s: float | None = None
    mirrored: bool = False
    rotation_deg: int | None = None
    transfer: int | None = None
    sounds: tuple[str, ...] = ()
    may_interlace: bool = False
    videos: int | None = None
    may_resize: bool = True
    resizes: bool = False
    tells_length: bool = True
    encrypted: bool = False
    least_pictures: int = 0
    untimed: bool = False

    @property
    def only_sound(self) -> bool:
        """Whether it holds sound and no video; a cover picture does not count."""
        return bool(self.sounds) and self.videos == 0

    @property
    def hdr(self) -> bool:
        """Whether its pictures are made for HDR screens."""
        return self.transfer in (PQ, HLG)


def read_container(path: Path) -> Container:
    """Reads the outermost headers of a video file, and of some its last bytes.

    Any other or damaged file gives an empty Container, except for the kind of a sound file.

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
                    videos=found.videos,
                    encrypted=found.encrypted,
                )
            file.seek(0)
            content = file.read(_SEARCHED_BYTES)
            if start[:4] == b"RIFF" and start[8:12] == b"AVI ":
                promised = 8 + int.from_bytes(start[4:8], "little")
                return Container(promised > size, videos=avi_tracks(content).videos)
            if start[:4] == b"OggS":
                file.seek(max(0, size - _LAST_BYTES))
                tracks = ogg_tracks(content)
                return Container(
                    ogg_is_cut_off(file.read()), tells_length=False, sounds=tracks.sounds, videos=tracks.videos
                )
            if start[:4] == b"GIF8":
                gif = read_gif(file)
                return Container(not gif.whole, may_resize=False, least_pictures=gif.pictures, untimed=gif.untimed)
            if start[:8] == PNG_START:
                file.seek(max(0, size - _LAST_BYTES))
                return Container(PNG_END not in file.read())
            if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
                return Container(8 + int.from_bytes(start[4:8], "little") > size)
            if start[:4] == b"\x00\x00\x01\xba" or (b"G" in (start[:1], start[4:5]) and _is_transport(content)):
                head, length = packet_layout(content) or (0, size)
                file.seek(max(0, size - _LAST_BYTES))
                cut_off = size % length != 0 and transport_is_cut_off(file.read(), head, length)
                return replace(_of_mpeg_stream(content), cut_off=cut_off)
            if content.startswith(ASF_START):
                return Container(says_it_is_longer(file, size), videos=asf_videos(file, content))
            if content.startswith(NUT_START):
                return Container(videos=nut_videos(content))
            if says_it_is_longer(file, size):
                return Container(cut_off=True)
            if ends_within_a_picture(file, size):
                return Container(cut_off=True, tells_length=False)
            # Any box may come before those that an MP4 mostly begins with.
            if (found_later := mp4.read_headers(file, size)).videos:
                return _of_mp4(found_later)
        # A damaged header may raise any of these: nothing is known then.
        except (struct.error, ArithmeticError, LookupError, ValueError, MemoryError):
            return Container()
    if start[:4] == b"RIFF" and start[8:12] == b"WAVE":
        return Container(sounds=("WAV",), videos=0)
    sounds = tuple(name for magic, name in _SOUND_STARTS.items() if start.startswith(magic))
    return Container(sounds=sounds, videos=0 if sounds else None)


def playlist_kind(path: Path) -> str | None:
    """Returns the name of a playlist's format, None where the file is no playlist.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return next((kind for magic, kind in _PLAYLIST_STARTS.items() if start.startswith(magic.lower())), None)


def _of_mpeg_stream(content: bytes) -> Container:
    """Returns whether a program or transport stream may be interlaced: MPEG-2 mostly is, H.264 states it."""
    joined = _join_packets(content)
    transport = _is_transport(content)
    tracks = transport_tracks(plain_packets(content)) if transport else program_tracks(content)
    may_interlace = _MPEG2_START in joined or stream_may_interlace(joined)
    return Container(tells_length=False, may_interlace=may_interlace, videos=tracks.videos)


def _of_mp4(found: mp4.Headers) -> Container:
    """Returns what an MP4's boxes say, with the promises of a fragmented one left out: its index is not one list."""
    listed = found.shown_s is not None and not found.fragmented
    shown_s = found.shown_s or 0.0
    return Container(
        cut_off=found.cut_off,
        # An edit list that starts late hides pictures that were stored only because the shown ones need them; another
        # shows pictures twice.
        lists_frames=listed and 0.999 * found.stored_s <= shown_s <= 1.02 * found.stored_s + 0.05,
        duration_s=found.shown_s if listed else None,
        mirrored=found.mirrored_deg is not None,
        rotation_deg=found.mirrored_deg,
        transfer=found.transfer,
        sounds=found.sounds,
        may_interlace=found.may_interlace,
        # Without an index nothing is known.
        videos=found.videos if found.videos or found.sounds else None,
        may_resize=found.entries > 1 or found.fragmented,
        encrypted=found.encrypted,
        # A decoder may leave out a few at the start, which need some before them.
        least_pictures=max(0, min(found.pictures - 2, found.pictures * 49 // 50)) if found.fragmented else 0,
    )


def _is_transport(content: bytes) -> bool:
    """Returns whether the start of a file is packets of a transport stream."""
    return bool(plain_packets(content))


def packet_layout(content: bytes) -> tuple[int, int] | None:
    """Returns the bytes before each packet of a transport stream and the distance between packets, in bytes."""
    for head, length in ((0, 188), (4, 192), (0, 204)):
        if len(content) > length + head and content[head] == content[head + length] == 0x47:
            return head, length
    return None


def plain_packets(content: bytes) -> bytes:
    """Returns a transport stream's packets of 188 bytes, without what recorders put before each; else nothing."""
    if (layout := packet_layout(content)) is None:
        return b""
    head, length = layout
    return b"".join(content[at + head : at + head + 188] for at in range(0, len(content), length))


def _join_packets(content: bytes) -> bytes:
    """Returns what the packets of a transport stream (ISO/IEC 13818-1) carry, of all its programs; else the same."""
    if not (plain := plain_packets(content)):
        return content
    packets = [plain[at : at + 188] for at in range(0, len(plain), 188)]
    # Bit 5 of the fourth byte: a field whose length follows comes before the content.
    return b"".join(packet[5 + packet[4] if packet[3] & 0x20 else 4 :] for packet in packets if len(packet) > 4)
