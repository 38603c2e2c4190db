"""Each parser of our own as a function of bytes that raises nothing, whatever they are.

A documented error is caught here; anything else that comes out is a fault of the parser.
"""

from __future__ import annotations

import io
import math
import struct
import tempfile
from contextlib import suppress
from functools import cache, partial
from pathlib import Path

from fuzzing import bases
from tinydf_runtime.errors import TinyDFError
from tinydf_runtime.io import jpeg_film
from tinydf_runtime.io.address import mask_credentials, stream_address
from tinydf_runtime.io.containers import ends, h264, matroska, mp4, packets, sizes
from tinydf_runtime.io.containers.container import playlist_kind, read_container
from tinydf_runtime.io.containers.more_films import NUT_START, asf_videos, has_more_films, nut_videos
from tinydf_runtime.io.containers.more_pictures import goes_on
from tinydf_runtime.io.containers.stills import exr_is_cut_off, read_gif, turn_avif
from tinydf_runtime.io.formats import ends_as_picture, is_image, picture_format
from tinydf_runtime.io.input import expand_inputs
from tinydf_runtime.render.html.content_credentials import has_manifest
from tinydf_runtime.render.words import as_cell, printable

DAMAGED = (LookupError, ValueError, ArithmeticError, TypeError, MemoryError)
"""What readers of headers may raise: ``read_container`` knows nothing then."""


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="tinydf-parsers-")


def temporary_file(content: bytes, ending: str) -> Path:
    """Returns a file with this content; there is one for each ending."""
    path = Path(_folder().name, f"input{ending}")
    path.write_bytes(content)
    return path


def container(content: bytes) -> None:
    """Reads headers of a file of any kind."""
    path = temporary_file(content, ".mp4")
    found = read_container(path)
    has_more_films(path)
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
    assert 0 <= read_gif(io.BytesIO(content), 2).pictures <= 2
    read_gif(io.BytesIO(content))


def file_ends(content: bytes) -> None:
    """Looks for the end."""
    for read in (ends.says_it_is_longer, ends.ends_within_a_picture):
        with suppress(*DAMAGED, struct.error):
            read(io.BytesIO(content), len(content))
    exr_is_cut_off(b"v/1\x01" + content)


def h264_headers(content: bytes) -> None:
    """Reads bits."""
    h264.may_interlace(content)
    h264.stream_may_interlace(content)


def track_tables(content: bytes) -> None:
    """Looks for tracks."""
    for read in (packets.ogg_tracks, packets.avi_tracks, packets.transport_tracks, packets.program_tracks):
        try:
            found = read(content)
        except DAMAGED:
            continue
        assert found.videos is None or found.videos > 0 or found.sounds
    packets.ogg_is_cut_off(content)
    for start, count in ((ends.ASF_START, partial(asf_videos, io.BytesIO(content))), (NUT_START, nut_videos)):
        with suppress(*DAMAGED):
            assert count(start + content) != 0


def key_frames(content: bytes) -> None:
    """Reads sizes out of the headers of key frames."""
    for read in set(sizes._SIZES.values()):
        read(content)


def jpeg_segments(content: bytes) -> None:
    """Looks for where a picture ends."""
    assert all(side >= 0 for side in jpeg_film.jpeg_size(content, 0))
    end = jpeg_film.jpeg_end(content, 0)
    assert end is None or 0 < end <= len(content)
    is_image(temporary_file(b"\xff\xd8\xff" + content, ".jpg"))


def avif_items(content: bytes) -> None:
    """Turns a picture as a file says."""
    picture = bases.frames()[0]
    assert turn_avif(picture, content).size == picture.size


def further_pictures(content: bytes) -> None:
    """Looks for a second picture behind the first."""
    for form in ("PNG", "BMP", "QOI", "JPEG 2000", "GIF", "WebP", "AVIF", "DPX", "OpenEXR", "Sun raster", "Netpbm"):
        goes_on(content, form)


def first_bytes(content: bytes) -> None:
    """Tells what kind of file it is."""
    for ending in (".mp4", ".jpg", ".tga", ".dng", ""):
        picture_format(content[:16], ending)
        ends_as_picture(content[:16], ending)
        is_image(temporary_file(content, ending))
    playlist_kind(temporary_file(content, ".mp4"))


def credentials(content: bytes) -> None:
    """Looks for a C2PA manifest."""
    has_manifest(temporary_file(content, ".bin"))


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
