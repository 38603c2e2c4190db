"""Every parser of our own as a function of bytes that raises nothing, whatever they are, and files to start from.

A documented error is caught here; anything else that comes out is a fault of the parser.
"""

from __future__ import annotations

import io
import json
import math
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

from fuzzing import bases
from fuzzing.media_headers import gif, png, tiff, webp
from tinydf_runtime.errors import TinyDFError, UnreadableInputError
from tinydf_runtime.io import jpeg_film, sizes
from tinydf_runtime.io.address import mask_credentials, stream_address
from tinydf_runtime.io.containers import h264, matroska, mp4, tracks
from tinydf_runtime.io.containers.avif_turn import turn_avif
from tinydf_runtime.io.containers.container import playlist_kind, read_container
from tinydf_runtime.io.containers.gif import count_pictures, gif_is_whole
from tinydf_runtime.io.expand import expand_inputs
from tinydf_runtime.io.formats import ends_as_picture, picture_format
from tinydf_runtime.io.image import is_image
from tinydf_runtime.models.embedded import DEFAULT_MODEL
from tinydf_runtime.models.seal import check_seal, seal
from tinydf_runtime.models.spec import ModelSpec
from tinydf_runtime.render.html.content_credentials import has_manifest
from tinydf_runtime.render.plain_text import as_cell, printable

DAMAGED = (LookupError, ValueError, ArithmeticError, TypeError, MemoryError)
"""What readers of headers may raise: ``read_container`` knows nothing then."""


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="tinydf-parsers-")


def _file(content: bytes, ending: str) -> Path:
    path = Path(_folder().name, f"input{ending}")
    path.write_bytes(content)
    return path


def container(content: bytes) -> None:
    """Reads headers of a file of any kind."""
    found = read_container(_file(content, ".mp4"))
    assert found.duration_s is None or (math.isfinite(found.duration_s) and found.duration_s >= 0)
    assert found.videos is None or found.videos >= 0


def mp4_boxes(content: bytes) -> None:
    """Walks boxes."""
    try:
        mp4.read_headers(io.BytesIO(content), len(content))
    # struct.error is none of the others.
    except (*DAMAGED, Exception) as error:
        assert isinstance(error, DAMAGED) or type(error).__module__ == "struct", repr(error)


def matroska_elements(content: bytes) -> None:
    """Walks elements."""
    try:
        matroska.read_headers(io.BytesIO(content))
    except DAMAGED:
        return


def gif_blocks(content: bytes) -> None:
    """Walks blocks."""
    assert 0 <= count_pictures(io.BytesIO(content), 2) <= 2
    gif_is_whole(io.BytesIO(content))


def h264_headers(content: bytes) -> None:
    """Reads bits."""
    h264.may_interlace(content)
    h264.stream_may_interlace(content)


def track_tables(content: bytes) -> None:
    """Looks for tracks."""
    for read in (tracks.ogg_tracks, tracks.avi_tracks, tracks.transport_tracks, tracks.program_tracks):
        try:
            found = read(content)
        except DAMAGED:
            continue
        assert found.videos is None or found.videos > 0 or found.sounds
    tracks.ogg_is_cut_off(content)


def key_frames(content: bytes) -> None:
    """Reads sizes out of the headers of key frames."""
    for read in set(sizes._SIZES.values()):
        read(content)


def jpeg_segments(content: bytes) -> None:
    """Looks for where a picture ends."""
    end = jpeg_film.jpeg_end(content, 0)
    assert end is None or 0 < end <= len(content)
    is_image(_file(b"\xff\xd8\xff" + content, ".jpg"))


def avif_items(content: bytes) -> None:
    """Turns a picture as a file says."""
    picture = bases.frames()[0]
    assert turn_avif(picture, content).size == picture.size


def first_bytes(content: bytes) -> None:
    """Tells what kind of file it is."""
    for ending in (".mp4", ".jpg", ".tga", ".dng", ""):
        picture_format(content[:16], ending)
        ends_as_picture(content[:16], ending)
        is_image(_file(content, ending))
    playlist_kind(_file(content, ".mp4"))


def credentials(content: bytes) -> None:
    """Looks for a C2PA manifest."""
    has_manifest(_file(content, ".bin"))


def address(content: bytes) -> None:
    """Masks what may be secret in an address: doing it twice changes nothing, and no password is left."""
    text = content.decode("utf-8", "surrogateescape")
    stream_address(text.replace("\0", ""))
    masked = mask_credentials(text)
    assert mask_credentials(masked) == masked
    secret = "s3cr3t" + content.hex()[:40]
    for form in ("rtsp://user:{}@camera/live", "http://camera/live?token={}", "http://user:{}@camera:80/a?b#{}"):
        assert secret not in mask_credentials(form.format(secret, secret))


def names(content: bytes) -> None:
    """Shows a name that somebody else chose."""
    text = content.decode("utf-8", "surrogateescape")
    shown = printable(text)
    assert not any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in shown)
    shown.encode()
    assert not as_cell(text).startswith(("=", "+", "-", "@"))
    try:
        # Below a folder without anything in it: a pattern could lead through the whole machine.
        expand_inputs([f"{_folder().name}/empty/{text.replace('/', '')}"])
    except TinyDFError:
        return


def spec(content: bytes) -> None:
    """Reads what a model says about itself; what is accepted is in range."""
    try:
        found = ModelSpec.from_json(content.decode("utf-8", "replace"), "model")
    except TinyDFError:
        return
    assert ModelSpec.from_json(found.to_json(), "model") == found


def seals(content: bytes) -> None:
    """Checks a seal."""
    try:
        check_seal(_file(content, ".onnx"))
    except TinyDFError as error:
        assert not isinstance(error, UnreadableInputError)


def _spec_text() -> bytes:
    return ModelSpec("fuzzed", golden_probability=(0.5,), fpr_thresholds=((0.1, 0.7),)).to_json().encode()


def _addresses() -> list[bytes]:
    return [
        b"rtsp://admin:p@ss@cam:554/live?channel=1#x",
        b"http://[::1]:80/;p=1?a=b&c",
        b"0",
        b"rtsp:/x@y",
        b"C:\\a@b",
    ]


def _sealed() -> bytes:
    return seal(b'{"tinydf.seal": "tinydf-sha256:' + b"0" * 64 + b'"}')


PARSERS: dict[str, tuple[Callable[[bytes], None], Callable[[], list[bytes]]]] = {
    "container": (
        container,
        lambda: [bases.whole(name)[:3000] for name in ("h264.mp4", "h264.mkv", "h264.ts", "gif.gif")],
    ),
    "mp4_boxes": (mp4_boxes, lambda: [bases.whole("h264.mp4")[-1200:], _samples("h264.mp4"), _samples("hevc.mp4")]),
    "matroska_elements": (matroska_elements, lambda: [bases.whole(name)[:900] for name in ("vp8.webm", "ffv1.mkv")]),
    "gif_blocks": (gif_blocks, lambda: [gif(4, 4, 3), bases.whole("photo.gif")[:900]]),
    "h264_headers": (h264_headers, lambda: [bases.whole("h264.h264")[:120], _samples("h264_interlaced.mp4")]),
    "track_tables": (
        track_tables,
        lambda: [bases.whole(name)[:1500] for name in ("vp8.ogv", "h264.avi", "h264.ts", "mpeg2.mpg")],
    ),
    "key_frames": (
        key_frames,
        lambda: [bases.whole(name)[:300] for name in ("vp9.ivf", "h264.h264", "photo.jpg", "mpeg2.mpg")],
    ),
    "jpeg_segments": (jpeg_segments, lambda: [bases.whole("photo.jpg")[:700], bases.whole("mjpeg.mjpeg")[:700]]),
    "avif_items": (avif_items, lambda: [bases.whole("photo.avif")[:500]]),
    "first_bytes": (
        first_bytes,
        lambda: [png(4, 4), webp(4, 4), tiff(4, 4), b"#EXTM3U\n/etc/passwd\n", b"P6 4 4 255\n"],
    ),
    "credentials": (
        credentials,
        lambda: [bases.whole("photo.jpg")[:200], png(4, 4), gif(4, 4), webp(4, 4), _samples("h264.mp4")],
    ),
    "address": (address, _addresses),
    "names": (
        names,
        lambda: [b"a.mp4", b"=1+1.mp4", b"\xff\xfe.mp4", "\u202egpj.exe".encode(), b"*.mp4", b"[a", b"\x1b[31m"],
    ),
    "spec": (spec, lambda: [_spec_text(), json.dumps({"schema": "tinydf.model/1"}).encode()]),
    "seals": (seals, lambda: [_sealed(), DEFAULT_MODEL.read_bytes()[-400:]]),
}
"""Name -> parser, and files that get it going."""


def _samples(name: str) -> bytes:
    import tinydf_runtime.io

    return Path(tinydf_runtime.io.__file__).with_name("samples").joinpath(name).read_bytes()
