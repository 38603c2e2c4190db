"""First bytes and ending of a file -> whether it is a picture, in which format, and what decodes it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tinydf_runtime.errors import UnreadableInputError
from tinydf_runtime.io.animation import is_animated
from tinydf_runtime.io.containers.more_pictures import PNG_START
from tinydf_runtime.io.files import is_regular
from tinydf_runtime.io.jpeg_film import is_jpeg_film

Decoder = Literal["opencv", "heif", "ffmpeg", "none"]

HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
AVIF_BRANDS = frozenset({b"avif", b"avis"})


@dataclass(frozen=True, slots=True)
class PictureFormat:
    """A kind of picture.

    Attributes:
        name: What people call it.
        decoder: What decodes it.
        codec: FFmpeg's name for it, if FFmpeg decodes it.
    """

    name: str
    decoder: Decoder = "opencv"
    codec: str = ""


_STARTS: dict[bytes, PictureFormat] = {
    b"\xff\xd8\xff": PictureFormat("JPEG"),
    PNG_START: PictureFormat("PNG"),
    b"GIF8": PictureFormat("GIF"),
    b"BM": PictureFormat("BMP"),
    b"II*\x00": PictureFormat("TIFF"),
    b"MM\x00*": PictureFormat("TIFF"),
    b"II+\x00": PictureFormat("TIFF"),
    b"MM\x00+": PictureFormat("TIFF"),
    b"\x00\x00\x00\x0cjP  ": PictureFormat("JPEG 2000"),
    b"\xff\x4f\xff\x51": PictureFormat("JPEG 2000"),
    b"#?RADIANCE": PictureFormat("Radiance HDR"),
    b"#?RGBE": PictureFormat("Radiance HDR"),
    b"\x59\xa6\x6a\x95": PictureFormat("Sun raster"),
    b"v/1\x01": PictureFormat("OpenEXR", "ffmpeg", "exr"),
    b"8BPS": PictureFormat("Photoshop", "ffmpeg", "psd"),
    b"qoif": PictureFormat("QOI", "ffmpeg", "qoi"),
    b"DDS ": PictureFormat("DDS", "ffmpeg", "dds"),
    b"SDPX": PictureFormat("DPX", "ffmpeg", "dpx"),
    b"XPDS": PictureFormat("DPX", "ffmpeg", "dpx"),
    b"\x00\x00\x00\x0cJXL ": PictureFormat("JPEG XL", "none"),
    b"\xff\x0a": PictureFormat("JPEG XL", "none"),
    b"\x00\x00\x01\x00": PictureFormat("icon", "none"),
    b"FUJIFILMCCD-RAW": PictureFormat("camera raw", "none"),
    b"IIU\x00": PictureFormat("camera raw", "none"),
    b"IIRO": PictureFormat("camera raw", "none"),
}
_ENDINGS: dict[str, PictureFormat] = {
    ".tga": PictureFormat("Targa", "ffmpeg", "targa"),
    ".icb": PictureFormat("Targa", "ffmpeg", "targa"),
    ".pcx": PictureFormat("PCX", "ffmpeg", "pcx"),
    ".svg": PictureFormat("SVG", "none"),
    ".svgz": PictureFormat("SVG", "none"),
}
"""Formats without a signature, recognised by their ending."""
_RAW_ENDINGS = frozenset({".dng", ".nef", ".cr2", ".arw", ".orf", ".pef", ".srw", ".rw2", ".3fr", ".iiq"})
"""Camera raw files. Most begin like TIFF, and OpenCV would find only their small preview."""

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jfif", ".jpe", ".png", ".apng", ".bmp", ".dib", ".webp", ".tif", ".tiff", ".avif", ".heic"}
    | {".heif", ".hif", ".jp2", ".j2k", ".jpf", ".jpx", ".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".pam", ".hdr", ".pic"}
    | {".ras", ".sr", ".exr", ".psd", ".qoi", ".dds", ".dpx", ".jxl", ".ico", ".cr3", ".raf"}
    | _ENDINGS.keys()
    | _RAW_ENDINGS
)


_FOREIGN_STARTS = {
    b"PK\x03\x04": "a ZIP archive. Unpack it, and name the files in it",
    b"\x1f\x8b": "compressed by gzip. Unpack it first",
    b"BZh": "compressed by bzip2. Unpack it first",
    b"\xfd7zXZ\0": "compressed by xz. Unpack it first",
    b"\x28\xb5\x2f\xfd": "compressed by Zstandard. Unpack it first",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive. Unpack it, and name the files in it",
    b"rar!\x1a\x07": "a RAR archive. Unpack it, and name the files in it",
    b"\x93numpy": "a NumPy array. Save its pictures, or give them to Analyzer.analyze_frames",
    b"%pdf-": "a PDF document. Save its pictures first",
    b"<!doctype html": "a web page. Download the video or picture itself",
    b"<html": "a web page. Download the video or picture itself",
    b"version https://git-lfs": "a pointer of Git LFS. Fetch the file itself: git lfs pull",
}
"""First bytes, letters in lower case, of what is often given in place of a video -> what it is, and what to do."""
_TAR_MARK, _TAR_AT = b"ustar", 257


def refuse_foreign(path: Path) -> None:
    """Refuses archives, documents and web pages: of some FFmpeg would read the first picture, and of others nothing.

    Raises:
        UnreadableInputError: It is one.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(_TAR_AT + len(_TAR_MARK))
    known = {magic.lower(): words for magic, words in _FOREIGN_STARTS.items()}
    found = next((words for magic, words in known.items() if start.lower().startswith(magic)), None)
    if found is None and start[_TAR_AT:] == _TAR_MARK:
        found = "a tar archive. Unpack it, and name the files in it"
    if found is not None:
        raise UnreadableInputError(f"{path}: is {found}.")


def read_start(path: Path) -> bytes:
    """Returns a file's first 16 bytes, fewer of a shorter one, none of what cannot be read or is no file."""
    if not is_regular(path):
        return b""
    try:
        with path.open("rb") as file:
            # Files of the system itself have no size, and reading one may wait for ever.
            return file.read(16) if os.fstat(file.fileno()).st_size else b""
    except OSError:
        return b""


def is_image(path: Path) -> bool:
    """Returns whether to read a file as an image: its first bytes decide, then its ending.

    A photo that was named .mp4 is an image, a film named .jpg is none, nor is an animated GIF, WebP, PNG or AVIF, nor
    Motion JPEG. A file that cannot be read goes by its ending.
    """
    start = read_start(path)
    form = picture_format(start, path.suffix)
    if form is None:
        return ends_as_picture(start, path.suffix)
    if form.name == "JPEG":
        try:
            return not is_jpeg_film(path)
        except (OSError, ValueError):
            return True
    return form.name not in ("GIF", "WebP", "PNG", "AVIF") or not is_animated(path)


def picture_format(start: bytes, ending: str) -> PictureFormat | None:
    """Returns the kind of picture that a file is, None where it is none that is known.

    Args:
        start: Its first bytes, 16 or more.
        ending: Of its name, with the dot.
    """
    ending = ending.lower()
    if brand := iso_brand(start):
        if brand in HEIF_BRANDS:
            return PictureFormat("HEIC", "heif")
        if brand in AVIF_BRANDS:
            return PictureFormat("AVIF")
        return PictureFormat("camera raw", "none") if brand == b"crx " else None
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return PictureFormat("WebP")
    if start[:1] == b"P" and start[1:2] in b"1234567Ff" and start[2:3] in b" \t\r\n" and len(start) > 2:
        return PictureFormat("Netpbm")
    found = next((form for magic, form in _STARTS.items() if start.startswith(magic)), None)
    if ending in _RAW_ENDINGS and (found is None or found.name == "TIFF"):
        return PictureFormat("camera raw", "none")
    return found or (_ENDINGS.get(ending) if not _is_film(start) else None)


def iso_brand(start: bytes) -> bytes:
    """Returns the major brand of a file of ISO boxes (ISO/IEC 14496-12), empty for any other."""
    return start[8:12] if start[4:8] == b"ftyp" else b""


def _is_film(start: bytes) -> bool:
    """Returns whether a file starts like a video, whatever its ending."""
    return start[4:8] == b"moov" or start.startswith(b"\x1a\x45\xdf\xa3") or start[8:12] == b"AVI "


def ends_as_picture(start: bytes, ending: str) -> bool:
    """Returns whether a file of unknown format counts as a picture, by its ending."""
    return not _is_film(start) and not iso_brand(start) and ending.lower() in IMAGE_SUFFIXES
