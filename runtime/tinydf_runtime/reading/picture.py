"""Image file -> upright picture."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from tinydf_runtime.errors import MissingExtraError, UnreadableInputError, install_line, needs
from tinydf_runtime.files import check_file
from tinydf_runtime.reading.animation import is_animated
from tinydf_runtime.reading.quiet import quiet
from tinydf_runtime.types import Image

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".avif", ".heic", ".heif"})

_IMAGE_STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\x00", b"MM\x00*", b"BM")
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_PNG_END = b"IEND\xaeB`\x82"


def read_image(path: Path) -> Image:
    """Reads an image file, whatever its name ends in; of an animated one, the first picture.

    Returns:
        H x W x 3, BGR, uint8, turned upright as its EXIF orientation says; transparency is dropped.

    Raises:
        UnreadableInputError: The file is missing, empty, cut off or no image.
        MissingExtraError: It is HEIC, and the library for it is not installed.
    """
    path = Path(path)
    check_file(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UnreadableInputError(f"{path}: {error.strerror or error}. Check the path and its permissions.") from error
    # libpng would write a line of its own to stderr.
    if content.startswith(b"\x89PNG") and _PNG_END not in content:
        raise UnreadableInputError(f"{path}: the image is cut off. Check that the file opens in a viewer.")
    try:
        with quiet():
            image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        reason = str(error.err or error).strip().splitlines()[0]
        raise UnreadableInputError(f"{path}: cannot be decoded ({reason}). Check its size and format.") from error
    if image is not None:
        return np.asarray(image, dtype=np.uint8)
    # OpenCV returns None when it knows no decoder or the file is damaged.
    brand = _brand(content)
    if brand in _HEIF_BRANDS:
        return _read_heif(path)
    if brand in _AVIF_BRANDS and not cv2.haveImageWriter(".avif"):
        raise UnreadableInputError(
            f"{path}: AVIF, which OpenCV {cv2.__version__} has no decoder for. "
            "Install a newer one: pip install -U opencv-python-headless"
        )
    raise UnreadableInputError(f"{path}: no image that can be decoded. Check that the file opens in a viewer.")


def is_image(path: Path) -> bool:
    """Returns whether to read a file as one image: its first bytes decide, then its ending.

    A photo that was named .mp4 is an image, a film named .jpg is none, nor is an animated GIF, WebP, PNG or AVIF.
    A file that cannot be read goes by its ending.
    """
    try:
        with path.open("rb") as file:
            start = file.read(16)
    except OSError:
        start = b""
    if start.startswith((b"GIF8", *_IMAGE_STARTS)) or (start[:4] == b"RIFF" and start[8:12] == b"WEBP"):
        return not is_animated(path)
    if brand := _brand(start):
        return brand in _HEIF_BRANDS or (brand in _AVIF_BRANDS and not is_animated(path))
    is_video = start[4:8] == b"moov" or start.startswith(b"\x1a\x45\xdf\xa3") or start[8:12] == b"AVI "
    return not is_video and path.suffix.lower() in IMAGE_SUFFIXES


def _brand(start: bytes) -> bytes:
    """Returns the major brand of a file of ISO boxes (ISO/IEC 14496-12), empty for any other."""
    return start[8:12] if start[4:8] == b"ftyp" else b""


def _read_heif(path: Path) -> Image:
    """Reads a HEIC photo, as phones take them, which OpenCV cannot.

    Raises:
        UnreadableInputError: It is damaged.
        MissingExtraError: pi-heif is not installed.
    """
    try:
        with needs("heic"):
            import pi_heif
    except MissingExtraError as error:
        raise MissingExtraError(
            f"{path}: HEIC, which OpenCV cannot read. Save it as JPEG, or, in the clone of TinyDF: "
            + install_line("heic")
        ) from error
    try:
        # The library turns the picture upright by itself.
        image = np.asarray(pi_heif.open_heif(path, convert_hdr_to_8bit=True, bgr_mode=True))
    except (OSError, ValueError, RuntimeError) as error:
        raise UnreadableInputError(f"{path}: cannot be decoded ({error}). Check that it opens in a viewer.") from error
    if image.ndim == 2:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), np.uint8)
    return np.ascontiguousarray(image[..., :3], np.uint8)
