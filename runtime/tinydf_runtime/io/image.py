"""Image file -> its picture, upright; of several the first."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from tinydf_runtime.errors import MissingExtraError, UnreadableInputError, install_line, needs
from tinydf_runtime.io.containers.container import HLG, PQ
from tinydf_runtime.io.containers.more_pictures import PNG_END, PNG_START
from tinydf_runtime.io.containers.stills import exr_is_cut_off, transfer_of, turn_avif
from tinydf_runtime.io.files import check_file
from tinydf_runtime.io.filters import show_on_white, tone_map
from tinydf_runtime.io.formats import PictureFormat, picture_format, refuse_foreign
from tinydf_runtime.io.jpeg_film import jpeg_end, jpeg_has_hole, lacks_scans, with_more_data
from tinydf_runtime.io.opencv import quiet, readable_name, silent_stderr
from tinydf_runtime.types import Adjustment, Image

_JPEG_START = b"\xff\xd8\xff"
_MISSING = 128
"""Each channel of what a JPEG decoder was not given."""
_QOI_END = bytes(7) + b"\1"
_WITH_OPACITY = frozenset({"PNG", "WebP", "AVIF", "TIFF"})
_FROM_DISK = frozenset({"Radiance HDR", "Sun raster"})


def read_image(path: Path) -> Image:
    """Reads an image file, whatever its name ends in; of an animated one, the first picture.

    Returns:
        H x W x 3, BGR, uint8, turned upright as its file says; transparent parts are white.

    Raises:
        UnreadableInputError: The file is missing, empty, cut off or no image that can be decoded here.
        MissingExtraError: It is HEIC, and the library for it is not installed.
    """
    return read_shown(path)[0]


def read_shown(path: Path) -> tuple[Image, tuple[Adjustment, ...]]:
    """Returns ``read_image``, and what was done to the picture, beside turning it upright.

    Raises:
        UnreadableInputError: See ``read_image``.
        MissingExtraError: See ``read_image``.
    """
    path = Path(path)
    check_file(path)
    refuse_foreign(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UnreadableInputError(f"{path}: {error.strerror or error}. Check the path and its permissions.") from error
    form = picture_format(content[:16], path.suffix) or PictureFormat("image")
    if form.decoder == "heif":
        return _to_sdr(_read_heif(path), content)
    if form.decoder == "none":
        raise UnreadableInputError(f"{path}: {form.name}, which cannot be read here. Save it as JPEG or PNG.")
    _check_whole(path, content)
    if form.decoder == "ffmpeg":
        return _read_with_ffmpeg(path, form), ()
    if form.name in _FROM_DISK:
        return _read_from_disk(path, form), ()
    image = decode(path, content, cv2.IMREAD_COLOR)
    if image is not None and form.name == "JPEG" and _ends_early(path, content, image):
        raise UnreadableInputError(f"{path}: a part of the image is missing. Copy it again.")
    if image is None and form.name == "TIFF":
        image = _of_numbers(decode(path, content, cv2.IMREAD_UNCHANGED))
    if image is None:
        if form.name == "AVIF" and not cv2.haveImageWriter(".avif"):
            raise UnreadableInputError(
                f"{path}: AVIF, which OpenCV {cv2.__version__} has no decoder for. "
                "Install a newer one: pip install -U opencv-python-headless"
            )
        # OpenCV returns None when it knows no decoder or the file is damaged.
        raise UnreadableInputError(f"{path}: no image that can be decoded. Check that the file opens in a viewer.")
    picture: Image = np.asarray(image, np.uint8)
    adjusted: tuple[Adjustment, ...] = ()
    if form.name in _WITH_OPACITY:
        stored = decode(path, content, cv2.IMREAD_UNCHANGED)
        if stored is not None:
            picture, transparent = show_on_white(picture, stored)
            adjusted = ("on_white",) if transparent else ()
    if form.name != "AVIF":
        return picture, adjusted
    picture, mapped = _to_sdr(turn_avif(picture, content), content)
    return picture, (*mapped, *adjusted)


def _to_sdr(image: Image, content: bytes) -> tuple[Image, tuple[Adjustment, ...]]:
    """Returns a picture of an AVIF or HEIC file as an ordinary screen shows it, and whether that took anything."""
    transfer = transfer_of(content)
    return (tone_map(image, transfer, False), ("tone_mapped",)) if transfer in (PQ, HLG) else (image, ())


def _check_whole(path: Path, content: bytes) -> None:
    """Refuses a picture that is cut off, or lacks a part or its detail: decoders would fill in grey or blur.

    Raises:
        UnreadableInputError: A part of it is missing.
    """
    cut = content.startswith(PNG_START[:4]) and PNG_END not in content
    cut = cut or (content.startswith(_JPEG_START) and jpeg_end(content, 0) is None)
    cut = cut or (content.startswith(b"qoif") and _QOI_END not in content)
    cut = cut or (content.startswith(b"v/1\x01") and exr_is_cut_off(content))
    if cut:
        raise UnreadableInputError(f"{path}: the image is cut off. Copy it again.")
    if content.startswith(_JPEG_START) and (jpeg_has_hole(content) or lacks_scans(content)):
        raise UnreadableInputError(f"{path}: a part of the image is missing. Copy it again.")


def _ends_early(path: Path, content: bytes, image: np.ndarray) -> bool:
    """Returns whether a JPEG's end comes before its last blocks, which decoders leave grey.

    Args:
        path: The file.
        content: Of it.
        image: H x W x 3, BGR, uint8, as decoded.
    """
    # The last block is in any corner of a picture that was turned upright.
    if not np.any(np.all(image[[0, 0, -1, -1], [0, -1, 0, -1]] == _MISSING, axis=1)):
        return False
    # What is missing would be taken from further data, and the picture change.
    more = with_more_data(content)
    if not more:
        return False
    with silent_stderr():
        other = decode(path, more, cv2.IMREAD_COLOR)
    return other is not None and not np.array_equal(image, other)


def decode(path: Path, content: bytes, flags: int) -> np.ndarray | None:
    """Returns what ``cv2.imdecode`` makes of an image file's content, None where it knows no decoder.

    Raises:
        UnreadableInputError: It is too large.
    """
    try:
        with quiet():
            return cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error as error:
        reason = str(error.err or error).strip().splitlines()[0]
        raise UnreadableInputError(f"{path}: cannot be decoded ({reason}). Check its size and format.") from error


def _read_from_disk(path: Path, form: PictureFormat) -> Image:
    """Reads a format for which OpenCV would write a temporary file if it were given the content.

    Raises:
        UnreadableInputError: It cannot be decoded.
    """
    light = form.name == "Radiance HDR"
    try:
        with readable_name(path) as name, quiet():
            image = cv2.imread(name, cv2.IMREAD_UNCHANGED if light else cv2.IMREAD_COLOR)
    except cv2.error:
        image = None
    if image is None:
        raise UnreadableInputError(f"{path}: {form.name}, which cannot be decoded. Check that it opens in a viewer.")
    return _encode_light(image) if light else np.asarray(image, np.uint8)


def _of_numbers(stored: np.ndarray | None) -> Image | None:
    """Converts a floating-point picture, 0..1, which OpenCV decodes unchanged only, to uint8; None for any other."""
    if stored is None or stored.dtype.kind != "f":
        return None
    picture = np.asarray(np.rint(255 * np.clip(np.nan_to_num(stored), 0, 1)), np.uint8)
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR), np.uint8) if picture.ndim == 2 else picture[..., :3]


def _encode_light(light: np.ndarray) -> Image:
    """Encodes linear light, 1 = white, as sRGB (IEC 61966-2-1); OpenCV would not."""
    linear = np.clip(light[..., :3].astype(np.float32), 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(255 * encoded), np.uint8)


def _read_with_ffmpeg(path: Path, form: PictureFormat) -> Image:
    """Reads a picture of a kind that OpenCV does not know with PyAV's FFmpeg.

    Raises:
        UnreadableInputError: PyAV is not there, or the file is damaged.
    """
    if not find_spec("av"):
        raise UnreadableInputError(
            f"{path}: {form.name}, which OpenCV cannot read. Save it as JPEG or PNG, or run {install_line('video')}"
        )
    import av

    try:
        decoder = av.CodecContext.create(form.codec, "r")
        assert isinstance(decoder, av.VideoCodecContext)
        frames = [*decoder.decode(av.Packet(path.read_bytes())), *decoder.decode(None)]
        return np.ascontiguousarray(frames[0].to_ndarray(format="bgr24"), np.uint8)
    except (av.FFmpegError, EOFError, IndexError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UnreadableInputError(f"{path}: {form.name}, which cannot be decoded ({reason}). Save it anew.") from error


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
        # The library turns the picture upright by itself. Its memory goes with the opened file: a copy stays.
        image = np.array(pi_heif.open_heif(path, convert_hdr_to_8bit=True, bgr_mode=True))
    except (OSError, ValueError, RuntimeError) as error:
        raise UnreadableInputError(f"{path}: cannot be decoded ({error}). Check that it opens in a viewer.") from error
    return in_colour(image)


def in_colour(image: np.ndarray) -> Image:
    """Returns a picture, H x W or H x W x 3 or 4 (grey, BGR, BGRA), as H x W x 3, BGR, uint8."""
    if image.ndim == 2:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), np.uint8)
    return np.ascontiguousarray(image[..., :3], np.uint8)
