"""image.py over pictures drawn here."""

from __future__ import annotations

import io
import re
import struct
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from tinydf_runtime.decode import decode
from tinydf_runtime.errors import MissingExtraError, UnreadableInputError
from tinydf_runtime.io import pages
from tinydf_runtime.io.file_frames import PictureReader
from tinydf_runtime.io.formats import IMAGE_SUFFIXES, is_image
from tinydf_runtime.io.image import read_image
from tinydf_runtime.io.jpeg_film import lacks_scans
from tinydf_runtime.io.pages import has_unread_pictures
from tinydf_runtime.types import Image

Corner = Callable[[Image], tuple[str, str]]

WIDTH, HEIGHT = 160, 120
HEIC = b"\0\0\0\x18ftypheic" + bytes(200)


WRITTEN = [suffix for suffix in sorted(IMAGE_SUFFIXES - {".pbm", ".pgm"}) if cv2.haveImageWriter(f"photo{suffix}")]
"""Coloured pictures that OpenCV can write; camera raw files, HEIC and the like it cannot."""


@pytest.mark.parametrize("suffix", WRITTEN)
def test_image_is_read_in_bgr(tmp_path: Path, suffix: str, quadrant: Image, red_corner: Corner) -> None:
    path = tmp_path / f"photo{suffix}"
    path.write_bytes(cv2.imencode(suffix, quadrant)[1].tobytes())
    image = read_image(path)
    assert image.shape == (HEIGHT, WIDTH, 3) and image.dtype == np.uint8
    assert red_corner(image) == ("top", "left")
    assert is_image(path)


@pytest.mark.parametrize(
    ("orientation", "corner"),
    [
        (1, ("top", "left")),
        (2, ("top", "right")),
        (3, ("bottom", "right")),
        (4, ("bottom", "left")),
        (5, ("top", "left")),
        (6, ("top", "right")),
        (7, ("bottom", "right")),
        (8, ("bottom", "left")),
    ],
)
def test_photo_stands_upright_as_its_exif_says(
    tmp_path: Path, orientation: int, corner: tuple[str, str], quadrant: Image, red_corner: Corner
) -> None:
    entry = struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
    exif = b"Exif\0\0MM\0*\0\0\0\x08" + struct.pack(">H", 1) + entry + bytes(4)
    jpeg = cv2.imencode(".jpg", quadrant)[1].tobytes()
    path = tmp_path / "photo.jpg"
    path.write_bytes(jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:])
    image = read_image(path)
    assert red_corner(image) == corner
    assert image.shape[:2] == ((HEIGHT, WIDTH) if orientation <= 4 else (WIDTH, HEIGHT))


def test_grey_deep_and_transparent_images_become_bgr(tmp_path: Path) -> None:
    for name, pixels in (
        ("grey", np.full((20, 30), 77, np.uint8)),
        ("deep", np.full((20, 30, 3), 77 * 257, np.uint16)),
        ("opaque", np.full((20, 30, 4), (77, 77, 77, 255), np.uint8)),
    ):
        path = tmp_path / f"{name}.png"
        path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
        np.testing.assert_array_equal(read_image(path), np.full((20, 30, 3), 77, np.uint8))


def test_transparent_parts_are_white(tmp_path: Path) -> None:
    pixels = np.full((20, 30, 4), (77, 77, 77, 255), np.uint8)
    pixels[:, :10, 3], pixels[:, 10:20, 3] = 0, 102
    (tmp_path / "clear.png").write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    image = read_image(tmp_path / "clear.png")
    assert (image[:, :10] == 255).all() and (image[:, 20:] == 77).all()
    np.testing.assert_allclose(image[:, 10:20], 0.4 * 77 + 0.6 * 255, atol=1.5)


def test_unreadable_images_are_named_in_one_line(tmp_path: Path, quadrant: Image) -> None:
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("not a photo")
    (tmp_path / "folder.png").mkdir()
    png = cv2.imencode(".png", quadrant)[1].tobytes()
    (tmp_path / "cut.png").write_bytes(png[: len(png) // 2])
    for name in ("missing.jpg", "empty.jpg", "text.jpg", "folder.png", "cut.png"):
        with pytest.raises(UnreadableInputError) as caught:
            read_image(tmp_path / name)
        assert name in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("ending", [".qoi", ".exr"])
def test_pictures_that_ffmpeg_would_fill_up_are_refused_if_they_are_cut_off(
    tmp_path: Path, ending: str, quadrant: Image, red_corner: Corner
) -> None:
    av = pytest.importorskip("av")
    codec = av.CodecContext.create(ending[1:], "w")
    codec.width, codec.height, codec.time_base = WIDTH, HEIGHT, Fraction(1)
    codec.pix_fmt = "rgb24" if ending == ".qoi" else "gbrpf32le"
    frame = av.VideoFrame.from_ndarray(quadrant, format="bgr24").reformat(format=codec.pix_fmt)
    whole = b"".join(bytes(packet) for packet in [*codec.encode(frame), *codec.encode(None)])
    path = tmp_path / f"photo{ending}"
    path.write_bytes(whole)
    assert red_corner(read_image(path)) == ("top", "left")
    for left in (len(whole) - 1, len(whole) * 2 // 3):
        path.write_bytes(whole[:left])
        with pytest.raises(UnreadableInputError, match="cut off"):
            read_image(path)


@pytest.mark.parametrize(("ending", "read"), [(".jpg", 2), (".png", 1), (".bmp", 1)])
def test_a_second_picture_behind_the_first_is_read_or_said(
    tmp_path: Path, ending: str, read: int, quadrant: Image
) -> None:
    other = np.full((HEIGHT, WIDTH, 3), 200, np.uint8)
    first, second, small = (
        cv2.imencode(ending, picture)[1].tobytes() for picture in (quadrant, other, other[: HEIGHT // 2])
    )
    path = tmp_path / f"stereo{ending}"
    path.write_bytes(first + bytes(20) * (ending == ".jpg") + second)
    with PictureReader(path) as reader:
        assert len(list(reader)) == read and ("more_tracks" in reader.caveats) is (read == 1)
    if ending == ".jpg":
        path.write_bytes(first + cv2.imencode(ending, np.full((HEIGHT + 1, WIDTH, 3), 200, np.uint8))[1].tobytes())
        with PictureReader(path) as reader:
            assert len(list(reader)) == 2, "a larger one is no preview"
    # Previews, and what is no picture, are not missed.
    for behind in (small, b"\xff\xd8\xff" + bytes(300)) if ending == ".jpg" else (b"notes",):
        path.write_bytes(first + behind)
        with PictureReader(path) as reader:
            assert len(list(reader)) == 1 and "more_tracks" not in reader.caveats


_PILLOW_NAMES = {".jp2": "JPEG2000", ".pgm": "PPM", ".icb": "TGA", ".tif": "TIFF"}


def _upright_and_upside_down(quadrant: Image, form: str) -> tuple[bytes, bytes]:
    """A picture and the same, upside down, each in a format that OpenCV or Pillow writes."""
    pillow = pytest.importorskip("PIL.Image")
    written = []
    for picture in (quadrant, quadrant[::-1].copy()):
        if form in (".ras", ".hdr", ".pfm", ".pam", ".pbm"):
            light = picture.astype(np.float32) / 255 if form in (".hdr", ".pfm") else picture
            light = light[..., 2] if form == ".pbm" else light
            written.append(cv2.imencode(form, light)[1].tobytes())
            continue
        target = io.BytesIO()
        image = pillow.fromarray(picture).convert("RGB" if form != ".pgm" else "L")
        options = {"compression": "tga_rle"} if form == ".icb" else {}
        image.save(target, _PILLOW_NAMES.get(form, form[1:].upper()), **options)
        written.append(target.getvalue())
    return written[0], written[1]


@pytest.mark.parametrize(
    "form",
    [
        ".jp2",
        ".ppm",
        ".pgm",
        ".pbm",
        ".pam",
        ".pfm",
        ".webp",
        ".gif",
        ".avif",
        ".qoi",
        ".dds",
        ".ras",
        ".hdr",
        ".tga",
        ".icb",
        ".pcx",
        ".tif",
    ],
)
def test_a_second_picture_that_is_not_judged_is_said(tmp_path: Path, quadrant: Image, form: str) -> None:
    path = tmp_path / f"joined{form}"
    first, second = _upright_and_upside_down(quadrant, form)
    for behind, said in ((second, True), (b"", False), (b"notes", False), (first, True)):
        path.write_bytes(first + behind)
        if form in (".qoi", ".dds", ".tga", ".icb", ".pcx"):
            pytest.importorskip("av")
        with PictureReader(path) as reader:
            assert len(list(reader)) == 1 and ("more_tracks" in reader.caveats) is said, (form, behind[:20])


@pytest.mark.parametrize("form", [".tga", ".icb"])
def test_a_second_targa_without_a_footer_is_said(tmp_path: Path, quadrant: Image, form: str) -> None:
    path = tmp_path / f"joined{form}"
    # The footer of Pillow's has 26 bytes.
    first, second = (one[:-26] for one in _upright_and_upside_down(quadrant, form))
    for content, said in ((first + second, True), (first, False), (first + b"some notes of the camera", False)):
        path.write_bytes(content)
        assert has_unread_pictures(path) is said
    # Not as much as a second picture needs.
    path.write_bytes(first + second[:-100])
    assert not has_unread_pictures(path)


def test_a_photo_in_the_notes_of_a_tiff_is_no_second_picture(tmp_path: Path, quadrant: Image) -> None:
    path = tmp_path / "notes.tif"
    first = _upright_and_upside_down(quadrant, ".tif")[0]
    # A directory of a camera's notes: one tag, that is none of a picture's.
    notes = b"MM\0*" + (8).to_bytes(4, "big") + (1).to_bytes(2, "big") + (271).to_bytes(2, "big") + bytes(14)
    path.write_bytes(first + notes)
    assert not has_unread_pictures(path)
    big = bytearray(b"II+\0\x08\0\0\0" + (16).to_bytes(8, "little") + (3).to_bytes(8, "little") + bytes(68))
    for place, tag in enumerate((256, 257, 324)):
        big[24 + 20 * place : 26 + 20 * place] = tag.to_bytes(2, "little")
    path.write_bytes(first + big)
    assert has_unread_pictures(path)


def test_an_avif_of_several_pictures_is_said(tmp_path: Path, quadrant: Image) -> None:
    pillow = pytest.importorskip("PIL.Image")
    target = io.BytesIO()
    opacity = np.full((*quadrant.shape[:2], 1), 90, np.uint8)
    opacity[:5] = 0
    pillow.fromarray(np.concatenate([quadrant, opacity], axis=2)).save(target, "AVIF")
    path, content = tmp_path / "several.avif", target.getvalue()
    path.write_bytes(content)
    assert content.count(b"auxl") == 1 and not has_unread_pictures(path)
    # Its opacity becomes a picture like the first.
    path.write_bytes(content.replace(b"auxl", b"cdsc"))
    assert has_unread_pictures(path)


@pytest.mark.parametrize("options", [[], [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]])
@pytest.mark.parametrize("shades", [3, 1])
def test_a_jpeg_whose_end_comes_too_early_is_refused(
    tmp_path: Path, astronaut: Image, options: list[int], shades: int, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "early.jpg"
    picture = astronaut if shades == 3 else cv2.cvtColor(astronaut, cv2.COLOR_BGR2GRAY)
    whole = cv2.imencode(".jpg", picture, options)[1].tobytes()
    scan = whole.index(b"\xff\xda")
    path.write_bytes(whole[: scan + (len(whole) - scan) // (40 if options else 2)] + b"\xff\xd9")
    with pytest.raises(UnreadableInputError, match="missing"):
        read_image(path)
    # A picture with a grey edge of its own is whole.
    grey = picture.copy()
    grey[-40:] = 128
    path.write_bytes(cv2.imencode(".jpg", grey, options)[1].tobytes())
    capfd.readouterr()
    assert read_image(path).shape == astronaut.shape and capfd.readouterr().err == ""


def test_headers_of_scans_that_are_none_are_passed_over(astronaut: Image) -> None:
    whole = cv2.imencode(".jpg", astronaut, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    first, last = whole.index(b"\xff\xda"), whole.rindex(b"\xff\xda")
    # Cut off within the header, more components than there can be, and as many scans as fit into a megabyte.
    for length in range(8):
        assert lacks_scans(whole[: last + 2 + length] + b"\xff\xd9")
    assert lacks_scans(whole[:first] + b"\xff\xda\0\x0c\xff" * 200_000 + b"\xff\xd9")


def test_a_progressive_jpeg_that_lacks_scans_is_refused(tmp_path: Path) -> None:
    """What tools make of a download that broke off: they put an end behind the scans that came, which are a blur."""
    noise = np.random.default_rng(0).integers(0, 255, (120, 160, 3)).astype(np.uint8)
    for picture in (noise, noise[..., 0]):
        path = tmp_path / "photo.jpg"
        assert cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])
        whole = path.read_bytes()
        scans = [found.start() for found in re.finditer(rb"\xff\xda", whole)]
        assert len(scans) > 4 and read_image(path).shape == (120, 160, 3)
        for content in (
            whole[: scans[1]] + b"\xff\xd9",
            whole[: scans[-1]] + b"\xff\xd9",
            whole[: scans[1]] + whole[scans[2] :],
        ):
            path.write_bytes(content)
            with pytest.raises(UnreadableInputError, match="a part of the image is missing"):
                read_image(path)


def test_numbers_and_comments_of_a_plain_picture_are_no_second_one(tmp_path: Path) -> None:
    path = tmp_path / "plain.ppm"
    one = b"P3\n# P6 2 2 255\n2 2\n255\n" + b"9 8 7 # P3\n" * 4
    for content, said in ((one, False), (one + one, True), (b"P6\n#\n2 2\n#c\n255\n" + b"P6 P6 P6 P6 ", False)):
        path.write_bytes(content)
        assert has_unread_pictures(path) is said, content


def test_pages_that_cannot_be_read_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quadrant: Image) -> None:
    path = tmp_path / "pages.tif"
    assert cv2.imwritemulti(str(path), [quadrant, quadrant, quadrant])
    with monkeypatch.context() as patch:
        patch.setattr(pages, "MOST_PAGES", 1)
        with PictureReader(path) as reader:
            assert len(list(reader)) == 2 and "more_tracks" in reader.caveats
    content = bytearray(path.read_bytes())
    # The second page's size is no size.
    start = int.from_bytes(content[4:8], "little")
    second = start + 2 + 12 * int.from_bytes(content[start : start + 2], "little")
    entry = int.from_bytes(content[second : second + 4], "little") + 2
    while content[entry : entry + 2] != (256).to_bytes(2, "little"):
        entry += 12
    content[entry + 8 : entry + 12] = bytes(4)
    path.write_bytes(content)
    with PictureReader(path) as reader:
        # OpenCV finds no page behind one that it cannot read.
        assert len(list(reader)) == 1 and "damaged_part" in reader.caveats


def test_content_tells_image_from_video_before_the_name_does(
    tmp_path: Path, write_video: Callable[..., Path], quadrant: Image
) -> None:
    photo = tmp_path / "photo.mp4"
    photo.write_bytes(cv2.imencode(".jpg", quadrant)[1].tobytes())
    assert is_image(photo) and read_image(photo).shape == (HEIGHT, WIDTH, 3)
    film = write_video([quadrant] * 3, "film.mp4").rename(tmp_path / "film.jpg")
    assert not is_image(film)
    assert is_image(tmp_path / "missing.PNG") and not is_image(tmp_path / "missing.MKV")


def test_cmyk_jpeg_keeps_its_colours(tmp_path: Path) -> None:
    pillow = pytest.importorskip("PIL.Image")
    rgb = np.full((40, 60, 3), (200, 40, 30), np.uint8)
    pillow.fromarray(rgb).convert("CMYK").save(tmp_path / "print.jpg", quality=95)
    assert np.abs(read_image(tmp_path / "print.jpg")[20, 30].astype(int) - (30, 40, 200)).max() < 12


def test_heic_needs_an_extra_and_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "phone.heic"
    path.write_bytes(HEIC)
    assert is_image(path)
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    with pytest.raises(MissingExtraError, match=r"phone\.heic: HEIC.*'\.\[heic\]'"):
        read_image(path)


def test_a_heic_of_a_phone_is_decoded_in_the_child_and_here() -> None:
    pytest.importorskip("pi_heif")
    path = Path(__file__).with_name("two_colours.heic")
    # The child comes first: memory that the library has let go of would end this process.
    with decode(str(path), "image", None) as frames:
        (frame,) = frames
        for image in (frame.image, read_image(path)):
            assert image.shape == (480, 640, 3)
            assert np.abs(image[:, :300].astype(int) - (200, 40, 30)).max() < 12
            assert np.abs(image[:, 340:].astype(int) - (30, 60, 220)).max() < 12


@pytest.mark.parametrize(
    "pixels", [np.zeros((4, 6), np.uint8), np.zeros((4, 6, 3), np.uint8), np.zeros((4, 6, 4), np.uint8)]
)
def test_heic_becomes_bgr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pixels: Image) -> None:
    path = tmp_path / "phone.heic"
    path.write_bytes(HEIC)
    monkeypatch.setitem(sys.modules, "pi_heif", SimpleNamespace(open_heif=lambda *names, **options: pixels))
    assert read_image(path).shape == (4, 6, 3)

    def fail(*names: object, **options: object) -> None:
        raise ValueError("no picture in it")

    monkeypatch.setitem(sys.modules, "pi_heif", SimpleNamespace(open_heif=fail))
    with pytest.raises(UnreadableInputError, match="no picture in it"):
        read_image(path)


def test_every_picture_of_a_heic_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Burst(list[Image]):
        primary_index = 1

        def __array__(self, *arguments: object, **options: object) -> Image:
            return self[self.primary_index]

    path = tmp_path / "burst.heic"
    path.write_bytes(HEIC)
    pictures = [np.full((4, 6, 3), level, np.uint8) for level in (10, 20, 30)]
    monkeypatch.setitem(sys.modules, "pi_heif", SimpleNamespace(open_heif=lambda *names, **options: Burst(pictures)))
    with PictureReader(path) as reader:
        assert [int(frame.image.mean()) for frame in reader] == [20, 10, 30]
        assert reader.frames_decoded == 3
