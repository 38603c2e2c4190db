"""Files that are whole and still no video of a face: sounds, playlists, other things under their names, and bombs."""

from __future__ import annotations

import io
import struct
import wave
import zlib
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial

import av
import numpy as np
from PIL import Image

from fuzzing import bases
from fuzzing.case import UNREADABLE, Case, rng_of
from fuzzing.media_headers import chunk, gif, png

_SOUNDS = {"mp3": "libmp3lame", "flac": "flac", "ogg": "flac", "opus": "libopus", "adts": "aac", "mp4": "aac"}
_PLAYLISTS = {
    "local.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n/etc/passwd\n#EXT-X-ENDLIST\n",
    "web.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n",
    "blank.m3u8": "\n\n  \n#EXTM3U\n#EXTINF:10,\n/etc/passwd\n",
    "concat.ffconcat": "ffconcat version 1.0\nfile '/etc/passwd'\n",
    "list.pls": "[playlist]\nFile1=/etc/passwd\nNumberOfEntries=1\n",
    "list.asx": '<asx version="3.0"><entry><ref href="file:///etc/passwd"/></entry></asx>',
    "list.mpd": '<?xml version="1.0"?><MPD><Period><BaseURL>file:///etc/passwd</BaseURL></Period></MPD>',
    "list.sdp": "v=0\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    "entities.svg": '<?xml version="1.0"?><!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg>&x;</svg>',
    "list.smil": '<smil><body><video src="/etc/passwd"/></body></smil>',
    "reference.mov": "rtsptext\nrtsp://127.0.0.1:9/a\n",
}
_OTHERS: dict[str, Callable[[], bytes]] = {
    "program": lambda: b"\x7fELF\x02\x01\x01" + bytes(2000),
    "archive": lambda: b"PK\x03\x04" + bytes(26) + b"a.mp4" + bytes(500) + b"PK\x05\x06" + bytes(18),
    "document": lambda: b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF",
    "page": lambda: b"<!doctype html><title>404</title><p>Not found",
    "text": lambda: b"A line of text.\n" * 500,
    "script": lambda: b"#!/bin/sh\nexit 0\n",
    "torn": lambda: bytes(range(256)) * 40,
}


def cases(seed: int) -> Iterator[Case]:
    """Yields them."""
    for ending, codec in _SOUNDS.items():
        yield Case(f"sound.{ending}", "sound", partial(_sound, ending, codec), codes=UNREADABLE)
    yield Case("sound.wav", "sound", _wav, codes=UNREADABLE)
    yield Case("sound_as.mkv", "sound", partial(_sound, "matroska", "flac"), codes=UNREADABLE)
    for name, text in _PLAYLISTS.items():
        for ending in ("", ".mp4", ".jpg"):
            yield Case(name + ending, "playlist", text.encode, codes=UNREADABLE)
    for word, make in _OTHERS.items():
        for ending in ("mp4", "jpg", "mkv", "gif", "tif"):
            yield Case(f"{word}.{ending}", "something else", make, codes=UNREADABLE)
    for number, base in enumerate(bases.names()):
        for step in (7, 20):
            ending = bases.names()[(number + step) % len(bases.names())].rpartition(".")[2]
            if not base.endswith(ending):
                yield Case(f"named_{base}.{ending}", "wrong ending", partial(bases.whole, base))
    for name, make in _BOMBS.items():
        yield Case(name, "bomb", make)
    for number in range(12):
        name = f"animated_{number}.{('gif', 'webp', 'png', 'avif')[number % 4]}"
        yield Case(name, "animation", partial(_animation, seed, name))


def _sound(container: str, codec: str) -> bytes:
    """Returns half a second of a tone."""
    tone = (8000 * np.sin(np.arange(24_000) * 0.06)).astype(np.float32) / 32768
    target = io.BytesIO()
    with av.open(target, "w", format=container, options={"fflags": "+bitexact"}) as out:
        stream = out.add_stream(codec, rate=48_000)
        assert isinstance(stream, av.AudioStream)
        resampler = av.AudioResampler(
            stream.format, stream.layout, stream.rate, stream.codec_context.frame_size or 1024
        )
        frame = av.AudioFrame.from_ndarray(tone[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
        for part in (*resampler.resample(frame), *resampler.resample(None)):
            out.mux(stream.encode(part))
        out.mux(stream.encode(None))
    return target.getvalue()


def _wav() -> bytes:
    target = io.BytesIO()
    with wave.open(target, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(bytes(8000))
    return target.getvalue()


def _animation(seed: int, name: str) -> bytes:
    """Returns a whole animation with a few bytes of its later pictures' headers changed."""
    rng = rng_of(seed, name)
    pictures = [Image.fromarray(picture[::2, ::2]) for picture in bases.frames()[:4]]
    form = {"png": "PNG", "gif": "GIF", "webp": "WEBP", "avif": "AVIF"}[name.rpartition(".")[2]]
    target = io.BytesIO()
    options = {"duration": rng.choice([0, 1, 65_535])} if form != "AVIF" else {}
    pictures[0].save(target, form, save_all=True, append_images=pictures[1:], **options)
    content = bytearray(target.getvalue())
    for kind in {"PNG": (b"fcTL",), "WEBP": (b"ANMF",), "GIF": (b"\x21\xf9\x04",), "AVIF": (b"stsz", b"stts")}[form]:
        at = content.rfind(kind)
        for _ in range(3 if at >= 0 else 0):
            content[min(at + 4 + rng.randrange(24), len(content) - 1)] = rng.choice([0, 0x7F, 0xFF])
    return bytes(content)


def _black(side: int, count: int, container: str, codec: str) -> bytes:
    return bases.encode([np.zeros((side, side, 3), np.uint8)] * count, container, codec, "yuv420p")


def _png_bomb(side: int) -> bytes:
    """Returns a whole black PNG, packed row by row."""
    packer = zlib.compressobj(9)
    row = bytes(side + 1)
    packed = b"".join([packer.compress(row) for _ in range(side)] + [packer.flush()])
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


_BOMBS: dict[str, Callable[[], bytes]] = {
    "bomb_4096.mp4": lambda: _black(4096, 3, "mp4", "libx264"),
    "bomb_4096_mpeg4.mkv": lambda: _black(4096, 6, "matroska", "mpeg4"),
    "bomb_long.mp4": lambda: _black(32, 6000, "mp4", "mpeg4"),
    "bomb_20000.png": lambda: _png_bomb(20_000),
    "bomb_8000.png": lambda: _png_bomb(8000),
    "bomb_60000.gif": lambda: gif(60_000, 60_000, pictures=3),
    "bomb_many.gif": lambda: gif(8000, 8000, pictures=2000),
    "bomb_text.png": lambda: png(8, 8, bytes(72)).replace(
        b"IEND", chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(50 << 20)))[4:] + b"IEND"
    ),
    "bomb_rows.png": lambda: png(8, 8, bytes(64 << 20)),
    "bomb.mjpeg": lambda: bases.whole("photo.jpg") * 2000,
}
"""Little files of very much picture."""
