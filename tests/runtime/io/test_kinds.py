"""Files as the world writes them: read as they are meant, or what was not looked at is said."""

from __future__ import annotations

import io
import os
import re
import zlib
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from tinydf_runtime.errors import UnreadableInputError
from tinydf_runtime.io import capture
from tinydf_runtime.io.containers.more_films import has_more_films
from tinydf_runtime.io.containers.mp4 import read_headers
from tinydf_runtime.io.containers.sizes import size_changes
from tinydf_runtime.io.file_frames import PictureReader
from tinydf_runtime.io.formats import is_image
from tinydf_runtime.io.image import read_image
from tinydf_runtime.io.video import VideoReader
from tinydf_runtime.types import Image

av = pytest.importorskip("av")
VideoWriter = Callable[..., Path]


def film(path: Path, pictures: Sequence[Image], codec: str = "mpeg2video", aspect: Fraction | None = None) -> Path:
    """Encodes pictures of one size with PyAV."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, 25)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        for picture in pictures:
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")):
                out.mux(packet)
        for packet in stream.encode(None):
            out.mux(packet)
    return path


def greys(count: int, height: int = 128, width: int = 160, level: int = 100) -> list[Image]:
    return [np.full((height, width, 3), level + i % 3, np.uint8) for i in range(count)]


def disc(height: int, width: int) -> Image:
    """A white disc as squeezed into a picture of this size: round where pixels are shown as they are meant."""
    image = np.zeros((height, width, 3), np.uint8)
    cv2.ellipse(image, (width // 2, height // 2), (width // 4, height // 4), 0, 0, 360, (255, 255, 255), -1)
    return image


def roundness(image: Image) -> float:
    rows, columns = np.nonzero(image[..., 0] > 128)
    return float(np.ptp(columns) / np.ptp(rows))


@pytest.mark.parametrize("aspect", [Fraction(2, 1), Fraction(1, 2), Fraction(8, 3)])
def test_pixels_that_are_not_square_are_made_so(tmp_path: Path, aspect: Fraction) -> None:
    height, width = 240, round(240 / aspect) // 2 * 2
    path = film(tmp_path / "squeezed.mp4", [disc(height, width)] * 3, "mpeg4", aspect)
    with VideoReader(path) as reader:
        frames = list(reader)
        assert (reader.info.width, reader.info.height) == frames[0].image.shape[1::-1]
        assert "square_pixels" in reader.adjustments
    assert roundness(frames[0].image) == pytest.approx(1, abs=0.06)


def test_an_aspect_that_makes_no_sense_changes_nothing(tmp_path: Path) -> None:
    path = film(tmp_path / "odd.mp4", greys(3), "mpeg4", Fraction(200, 1))
    with VideoReader(path) as reader:
        assert next(iter(reader)).image.shape == (128, 160, 3) and reader.adjustments == ()


def test_pictures_that_change_size_midway_come_in_their_own(tmp_path: Path) -> None:
    first = film(tmp_path / "a.ts", [disc(128, 160)] * 20).read_bytes()
    second = film(tmp_path / "b.ts", [disc(160, 96)] * 20).read_bytes()
    path = tmp_path / "both.ts"
    path.write_bytes(first + second)
    assert size_changes(path) and not size_changes(tmp_path / "a.ts")
    with VideoReader(path) as reader:
        shapes = [frame.image.shape[:2] for frame in reader]
        assert reader.adjustments == ("resized_midway",)
    # The decoder drops a picture that it holds back when the size changes.
    assert shapes in ([(128, 160)] * first + [(160, 96)] * 20 for first in (19, 20))


def test_pixels_that_change_their_shape_midway_are_made_square_throughout(tmp_path: Path) -> None:
    parts = [
        film(tmp_path / f"{aspect}.h264", [disc(128, 128 // aspect)] * 10, "libx264", Fraction(aspect, 1))
        for aspect in (1, 2)
    ]
    path = tmp_path / "both.h264"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    with VideoReader(path) as reader:
        shown = [roundness(frame.image) for frame in reader]
    assert len(shown) > 15 and shown == pytest.approx([1] * len(shown), abs=0.05)


def test_without_pyav_a_change_of_size_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "both.ts"
    parts = [film(tmp_path / f"{i}.ts", greys(20, *size)) for i, size in enumerate([(128, 160), (160, 96)])]
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    monkeypatch.setattr(capture, "find_spec", lambda name: None)
    with VideoReader(path) as reader:
        assert "size_changes" in reader.caveats


@pytest.mark.parametrize("codec", ["mjpeg", "libvpx", "libvpx-vp9", "libx264", "libx265", "mpeg2video"])
def test_a_size_that_stays_is_never_said_to_change(tmp_path: Path, codec: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (30, 128, 160, 3), np.uint8)
    assert not size_changes(film(tmp_path / "clip.mkv", list(noise), codec))


def test_pictures_after_a_damaged_stretch_are_read_and_the_gap_is_said(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (60, 128, 160, 3), np.uint8)
    path = film(tmp_path / "clip.mp4", list(noise), "libx264")
    content = bytearray(path.read_bytes())
    third = len(content) // 3
    content[third : third + third // 2] = bytes(third // 2)
    path.write_bytes(bytes(content))
    with VideoReader(path) as reader:
        frames = list(reader)
        assert reader.caveats == ("damaged_part",) or reader.truncated
    assert frames[-1].time_s > 2.0 and len(frames) < 60


@pytest.mark.parametrize("ending", [".ts", ".m2ts"])
def test_motion_jpeg_in_a_transport_stream_is_read_though_it_travels_as_private_data(
    tmp_path: Path, ending: str
) -> None:
    path = film(tmp_path / f"camera{ending}", [disc(128, 160), *greys(29)], "mjpeg")
    with VideoReader(path) as reader:
        frames = [(frame.time_s, frame.image.copy()) for frame in reader]
        assert reader.info.fps == pytest.approx(25, abs=0.1) and not reader.truncated
    assert len(frames) == 30 and frames[-1][0] == pytest.approx(29 / 25, abs=0.02)
    assert frames[0][1][64, 80].min() > 240 and abs(int(frames[9][1][64, 80, 0]) - 102) <= 3


def test_motion_jpeg_without_a_container_is_a_film(tmp_path: Path) -> None:
    pictures = [cv2.imencode(".jpg", picture)[1].tobytes() for picture in greys(50)]
    path = tmp_path / "camera.jpg"
    path.write_bytes(b"".join(pictures))
    assert not is_image(path)
    with VideoReader(path) as reader:
        frames = list(reader)
    assert len(frames) == 50 and frames[-1].time_s == pytest.approx(49 / 25)
    # A photo with a preview behind it stays a photo.
    path.write_bytes(pictures[0] + pictures[1])
    assert is_image(path)


def test_every_page_of_a_tiff_is_read(tmp_path: Path) -> None:
    path = tmp_path / "pages.tif"
    pages = greys(1, level=10) + greys(1, 96, 200, level=200)
    assert cv2.imwritemulti(str(path), pages)
    with PictureReader(path) as reader:
        shown = [frame.image for frame in reader]
        assert reader.frames_decoded == 2
    assert [image.shape for image in shown] == [(128, 160, 3), (96, 200, 3)]
    assert [int(image.mean()) for image in shown] == [10, 200]


def test_the_pages_of_a_tiff_are_counted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "pages.tif"
    assert cv2.imwritemulti(str(path), greys(3))
    counted: list[str] = []
    count = cv2.imcount

    def imcount(name: str) -> int:
        counted.append(name)
        return count(name)

    monkeypatch.setattr(cv2, "imcount", imcount)
    with PictureReader(path) as reader:
        assert len(list(reader)) == 3
    assert len(counted) == 1


def test_a_second_video_track_is_said(tmp_path: Path) -> None:
    for name in ("two.mkv", "two.mp4", "two.ts", "two.avi", "two.wmv", "two.nut"):
        path = tmp_path / name
        with av.open(str(path), "w") as out:
            streams = [out.add_stream("mpeg4", 25) for _ in range(2)]
            for stream in streams:
                stream.height, stream.width, stream.pix_fmt = 128, 160, "yuv420p"
            for stream in streams:
                for picture in greys(10):
                    for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")):
                        out.mux(packet)
                for packet in stream.encode(None):
                    out.mux(packet)
        with VideoReader(path) as reader:
            assert list(reader) and "more_tracks" in reader.caveats, name


def test_a_second_video_track_is_said_whatever_comes_before_it_and_however_it_is_named(tmp_path: Path) -> None:
    plain = tmp_path / "two.mp4"
    with av.open(str(plain), "w") as out:
        streams = [out.add_stream("mpeg4", 25) for _ in range(2)]
        for stream in streams:
            stream.height, stream.width, stream.pix_fmt = 128, 160, "yuv420p"
        for stream in streams:
            for picture in greys(10):
                out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
            out.mux(stream.encode(None))
    content = plain.read_bytes()
    index = content.index(b"moov") - 4
    first, second = (found.start(1) for found in re.finditer(rb"hdlr\0{8}(vide)", content))

    def named(place: int, handler: bytes) -> bytes:
        return content[:place] + handler + content[place + 4 :]

    # QuickTime compresses its index. Depth maps of phones are no film, unless they are what is decoded.
    packed = zlib.compress(content[index:])
    parts = (b"dcom" + b"zlib", b"cmvd" + len(content[index:]).to_bytes(4, "big") + packed)
    inner = b"".join((4 + len(part)).to_bytes(4, "big") + part for part in parts)
    compressed = (16 + len(inner)).to_bytes(4, "big") + b"moov" + (8 + len(inner)).to_bytes(4, "big") + b"cmov" + inner
    kinds = {
        "pict.mp4": (named(second, b"pict"), True),
        "first.mp4": (named(first, b"meta"), True),
        "depth.mp4": (named(second, b"auxv"), False),
        "depth_first.mp4": (named(first, b"auxv"), True),
        "packed.mov": (content[:index] + compressed, True),
    }
    # What comes first may be of any kind.
    for kind in (b"uuid", b"styp", b"junk"):
        kinds[f"{kind.decode()}.mp4"] = (content[:4] + kind + content[8:], True)
    for name, (changed, said) in kinds.items():
        path = tmp_path / name
        path.write_bytes(changed)
        with VideoReader(path) as reader:
            assert list(reader) and ("more_tracks" in reader.caveats) is said, name


def test_a_second_film_in_a_program_stream_is_said(tmp_path: Path) -> None:
    """Streams of another number, or codec, that begin behind the first one's start."""
    parts = {
        codec: film(tmp_path / f"{codec}.mpg", greys(40), codec).read_bytes() for codec in ("mpeg2video", "libx264")
    }
    first = parts["mpeg2video"]
    for content, said in (
        (first, False),
        (first + first, False),
        (first + first.replace(b"\0\0\1\xe0", b"\0\0\1\xe1"), True),
        (first + parts["libx264"], True),
        (parts["libx264"], False),
    ):
        path = tmp_path / "joined.mpg"
        path.write_bytes(content)
        assert has_more_films(path) is said


def renumbered(packets: bytes, number: int) -> bytes:
    """A transport stream of FFmpeg's whose film has another packet number than 256; its map stays as it is."""
    content = bytearray(packets)
    for at in range(0, len(content), 188):
        if (content[at + 1] & 0x1F, content[at + 2]) == (1, 0):
            content[at + 1 : at + 3] = bytes([content[at + 1] & 0xE0 | number >> 8, number & 0xFF])
    return bytes(content)


def test_a_second_film_behind_the_first_is_said(tmp_path: Path) -> None:
    """Joined files, of which FFmpeg and players show the first film and do not tell of the other."""
    for name, codecs in (("a.ts", ("mpeg4", "mpeg2video")), ("a.mp4", ("mpeg4", "mpeg4")), ("a.wmv", ("wmv2", "wmv2"))):
        parts = [film(tmp_path / f"{i}{name}", greys(10 + i), codec).read_bytes() for i, codec in enumerate(codecs)]
        for content, said in ((parts[0], False), (parts[0] + parts[1], True)):
            path = tmp_path / name
            path.write_bytes(content)
            with VideoReader(path) as reader:
                frames = len(list(reader))
                assert ("more_tracks" in reader.caveats) is said, name
            assert frames <= 11
    # Another packet number, behind a few bytes that are no packet.
    packets = (tmp_path / "0a.ts").read_bytes()
    (tmp_path / "b.ts").write_bytes(packets + b"lost" + renumbered(packets, 0x345))
    with VideoReader(tmp_path / "b.ts") as reader:
        assert list(reader) and "more_tracks" in reader.caveats
    # Another codec, or another size that only the headers tell: in the tags or the Segment that follow.
    for name, codecs in (("c.flv", ("flv1", "h264")), ("c.mkv", ("mpeg4", "mpeg2video")), ("d.mkv", ("h264", "h264"))):
        parts = []
        for number, codec in enumerate(codecs):
            pictures = greys(10, 128 - 32 * number)
            parts.append(
                film(tmp_path / f"{number}{name}", pictures, codec).read_bytes()[13 * number if "flv" in name else 0 :]
            )
        for content, said in ((parts[0], False), (parts[0] + parts[1], True)):
            (tmp_path / name).write_bytes(content)
            with VideoReader(tmp_path / name) as reader:
                assert list(reader) and ("more_tracks" in reader.caveats) is said, name
    # Far behind the first headers, in another codec, and one that goes on in parts of the same film.
    first = film(tmp_path / "first.avi", greys(10), "ffv1").read_bytes()
    second = film(tmp_path / "second.avi", greys(10), "mpeg4").read_bytes()
    long = first + b"JUNK" + (1 << 19).to_bytes(4, "little") + bytes(1 << 19)
    part = b"RIFF" + (4).to_bytes(4, "little") + b"AVIX"
    for content, said in ((long + second, True), (long + part, False)):
        (tmp_path / "long.avi").write_bytes(content)
        with VideoReader(tmp_path / "long.avi") as reader:
            assert list(reader) and ("more_tracks" in reader.caveats) is said
    for name, codec in (("c.ivf", "libvpx"), ("c.y4m", "wrapped_avframe")):
        parts = [film(tmp_path / name, greys(10, level=level), codec).read_bytes() for level in (60, 100)]
        for content, said in ((parts[0], False), (parts[0] + parts[1], True)):
            (tmp_path / name).write_bytes(content)
            with VideoReader(tmp_path / name) as reader:
                assert list(reader) and ("more_tracks" in reader.caveats) is said, name
    for head in (b"FWS", b"CWS"):
        parts = []
        for level in (60, 100):
            plain = film(tmp_path / "c.swf", greys(10, level=level), "flv1").read_bytes()
            parts.append(plain if head == b"FWS" else head + plain[3:8] + zlib.compress(plain[8:]))
        for content, said in ((parts[0], False), (parts[0] + parts[1], True)):
            (tmp_path / "c.swf").write_bytes(content)
            assert has_more_films(tmp_path / "c.swf") is said, head
    # The same recording goes on.
    (tmp_path / "c.ts").write_bytes(packets + packets)
    with VideoReader(tmp_path / "c.ts") as reader:
        assert len(list(reader)) == 20 and "more_tracks" not in reader.caveats


def test_the_second_eye_of_a_spatial_video_counts_as_a_film(tmp_path: Path) -> None:
    path = film(tmp_path / "spatial.mp4", greys(10), "mpeg4")
    content = path.read_bytes()
    assert content.count(b"btrt") == 1
    # The box in which MV-HEVC tells of the layer for the other eye, in place of one that tells the bit rate.
    for box, films in ((b"btrt", 1), (b"lhvC", 2)):
        assert read_headers(io.BytesIO(content.replace(b"btrt", box)), len(content)).videos == films


def test_fragments_that_the_decoder_leaves_out_are_said(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (40, 128, 160, 3), np.uint8)
    path = tmp_path / "pieces.mp4"
    with av.open(str(path), "w", options={"movflags": "frag_keyframe+empty_moov"}) as out:
        stream = out.add_stream("libx264", 25)
        stream.height, stream.width, stream.pix_fmt = 128, 160, "yuv420p"
        stream.codec_context.options = {"g": "10"}
        for picture in noise:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        out.mux(stream.encode(None))
    content = path.read_bytes()
    # All begin when the first does, so that FFmpeg takes them for copies of it.
    early = re.sub(rb"(tfdt.{4}).{8}", rb"\1" + bytes(8), content, flags=re.DOTALL)
    for changed, said in ((content, False), (early, True)):
        path.write_bytes(changed)
        with VideoReader(path) as reader:
            shown = len(list(reader))
            assert (shown < 40) is said and ("damaged_part" in reader.caveats) is said


RAW = {".h264": "libx264", ".hevc": "libx265", ".m2v": "mpeg2video", ".m4v": "mpeg4"}


@pytest.mark.parametrize("ending", RAW)
def test_a_stream_that_goes_on_in_another_codec_says_so(tmp_path: Path, ending: str) -> None:
    """Files without a container that are joined: a decoder skips what is not its own, and mostly without a word."""
    formats = {".hevc": "hevc", ".h264": "h264", ".m2v": "mpeg2video", ".m4v": "m4v"}
    noise = np.random.default_rng(0).integers(0, 255, (12, 128, 160, 3), np.uint8)
    parts = {}
    for other, codec in RAW.items():
        path = tmp_path / f"one{other}"
        with av.open(str(path), "w", format=formats[other]) as out:
            stream = out.add_stream(codec, 25)
            stream.height, stream.width, stream.pix_fmt = 128, 160, "yuv420p"
            for picture in noise:
                out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
            out.mux(stream.encode(None))
        parts[other] = path.read_bytes()
    for other, behind in {**parts, "": b""}.items():
        path = tmp_path / f"joined{ending}"
        path.write_bytes(parts[ending] + behind)
        with VideoReader(path) as reader:
            shown = len(list(reader))
            said = "more_tracks" in reader.caveats
        # Two in one codec are one film.
        assert said is (other not in ("", ending)), other
        assert said or shown >= (24 if other == ending else 12) or "damaged_part" in reader.caveats


@pytest.mark.parametrize(
    "start", [b"#EXTM3U\n", b"\xef\xbb\xbf#EXTM3U\n", b"ffconcat version 1.0\n", b"v=0\r\n", b"<MPD "]
)
def test_playlists_are_refused_and_the_files_they_name_stay_closed(
    tmp_path: Path, write_video: VideoWriter, start: bytes
) -> None:
    named = write_video(greys(10))
    path = tmp_path / "list.mp4"
    path.write_bytes(start + f"#EXTINF:1\n{named}\nfile '{named}'\n".encode())
    with pytest.raises(UnreadableInputError, match="playlist, which names other files"):
        VideoReader(path)


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("clip.wmv", "wmv2"),
        ("clip.mxf", "mpeg2video"),
        ("clip.y4m", "wrapped_avframe"),
        ("clip.mjpeg", "mjpeg"),
        ("clip.ivf", "libvpx"),
        ("clip.dv", "dvvideo"),
    ],
)
def test_what_cameras_and_studios_write_is_known_to_be_cut_off(tmp_path: Path, name: str, codec: str) -> None:
    size = (576, 720) if codec == "dvvideo" else (128, 160)
    path = film(tmp_path / name, greys(30, *size), codec)
    with VideoReader(path) as reader:
        whole = len(list(reader))
        assert whole >= 29 and not reader.truncated
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2 + 6])
    with VideoReader(path) as reader:
        assert 0 < len(list(reader)) < whole and reader.truncated


def test_a_sound_file_with_a_cover_is_no_video(tmp_path: Path) -> None:
    cover = cv2.imencode(".jpg", greys(1)[0])[1].tobytes()
    picture = b"\0image/jpeg\0\3\0" + cover
    tag = b"APIC" + len(picture).to_bytes(4, "big") + b"\0\0" + picture
    size = bytes(len(tag) >> 7 * i & 127 for i in (3, 2, 1, 0))
    path = tmp_path / "song.mp3"
    path.write_bytes(b"ID3\3\0\0" + size + tag + b"\xff\xfb\x90\x64" + bytes(5000))
    with pytest.raises(UnreadableInputError, match="only sound"):
        VideoReader(path)


def test_gifs_are_neither_interlaced_nor_of_many_colours(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (4, 480, 64, 3), np.uint8)
    path = tmp_path / "clip.gif"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("gif", 10)
        stream.height, stream.width, stream.pix_fmt = 480, 64, "rgb8"
        for picture in noise:
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24").reformat(format="rgb8")
            for packet in stream.encode(frame):
                out.mux(packet)
        for packet in stream.encode(None):
            out.mux(packet)
    with VideoReader(path) as reader:
        assert len(list(reader)) == 4
        assert reader.adjustments == () and reader.caveats == ("few_colours",) and not reader.truncated
    path.write_bytes(path.read_bytes()[:-2000])
    with VideoReader(path) as reader:
        list(reader)
        # How many there were is not known: those that are left were counted.
        assert reader.truncated and reader.info.frames_expected is None


@pytest.mark.parametrize("ending", [".jp2", ".ppm", ".hdr", ".pgm", ".jpe", ".bmp"])
def test_rarer_kinds_of_photo_are_known_by_their_first_bytes(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"photo{ending}"
    picture = np.full((40, 60, 3), 120, np.uint8)
    pixels = picture[..., 0] if ending == ".pgm" else (picture / 255) ** 2.2 if ending == ".hdr" else picture
    assert cv2.imwrite(str(path), pixels.astype(np.float32) if ending == ".hdr" else pixels)
    other = path.rename(tmp_path / "photo.mp4")
    assert is_image(other) and np.abs(read_image(other).astype(int) - 120).max() <= 4


@pytest.mark.parametrize(
    ("name", "start", "word"),
    [
        ("a.jxl", b"\xff\x0a" + bytes(40), "JPEG XL"),
        ("a.nef", b"MM\0*" + bytes(40), "camera raw"),
        ("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        ("a.psd", b"8BPS" + bytes(40), "Photoshop"),
    ],
)
def test_kinds_that_cannot_be_read_are_named(tmp_path: Path, name: str, start: bytes, word: str) -> None:
    (tmp_path / name).write_bytes(start)
    assert is_image(tmp_path / name)
    with pytest.raises(UnreadableInputError, match=word):
        read_image(tmp_path / name)


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_with_a_hole_is_refused(tmp_path: Path, progressive: bool) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (120, 120, 3), np.uint8)
    whole = cv2.imencode(".jpg", noise, [cv2.IMWRITE_JPEG_PROGRESSIVE, int(progressive)])[1].tobytes()
    path, middle = tmp_path / "hole.jpg", len(whole) // 2
    path.write_bytes(whole[:middle] + bytes(1000) + whole[middle + 1000 :])
    with pytest.raises(UnreadableInputError, match=r"hole\.jpg: a part of the image is missing"):
        read_image(path)
    # Zeros in what a camera writes before the picture, or pads its end with, are none.
    path.write_bytes(whole[:2] + b"\xff\xe1\x07\xd2" + bytes(2000) + whole[2:-2] + bytes(1000) + whole[-2:])
    expected = cv2.imdecode(np.frombuffer(whole, np.uint8), cv2.IMREAD_COLOR)
    assert expected is not None and np.array_equal(read_image(path), expected)


def test_photos_in_hdr_are_shown_as_on_an_ordinary_screen(tmp_path: Path) -> None:
    path = tmp_path / "photo.avif"
    if not cv2.haveImageWriter(str(path)):
        pytest.skip("this OpenCV writes no AVIF")
    # White of an ordinary picture in SMPTE ST 2084: 58 % of the code values (ITU-R BT.2408).
    assert cv2.imwrite(str(path), np.full((64, 64, 3), round(0.58 * 255), np.uint8))
    content = path.read_bytes()
    place = content.index(b"colrnclx") + 10
    path.write_bytes(content[:place] + (16).to_bytes(2, "big") + content[place + 2 :])
    with PictureReader(path) as reader:
        (frame,) = reader
        assert reader.adjustments == ("tone_mapped",)
    assert frame.image.mean() > 220


@pytest.mark.parametrize("keep", [0.4, 0.9])
def test_a_jpeg_that_is_cut_off_is_refused(tmp_path: Path, keep: float) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (80, 80, 3), np.uint8)
    content = cv2.imencode(".jpg", noise)[1].tobytes()
    (tmp_path / "cut.jpg").write_bytes(content[: int(keep * len(content))])
    with pytest.raises(UnreadableInputError, match="cut off"):
        read_image(tmp_path / "cut.jpg")


@pytest.mark.parametrize("name", ["12:30 clip", "100%d", "a[1]", "💩 中文", "- x", "'q\" $(x)", "new\nline"])
def test_any_name_is_read_on_every_route(tmp_path: Path, write_video: VideoWriter, name: str) -> None:
    for ending in (".mp4", ".avi"):
        path = write_video(greys(5)).rename(tmp_path / f"{name}{ending}")
        with VideoReader(path) as reader:
            assert len(list(reader)) == 5
    for ending in (".tif", ".jp2"):
        path = tmp_path / f"{name}{ending}"
        path.write_bytes(cv2.imencode(ending, greys(1)[0])[1].tobytes())
        assert read_image(path).shape == (128, 160, 3)
    one = film(tmp_path / "av1.mp4", greys(3), "libsvtav1").rename(tmp_path / f"{name} av1.mp4")
    with VideoReader(one) as reader:
        assert len(list(reader)) == 3


def test_a_name_that_is_no_unicode_is_read(tmp_path: Path, write_video: VideoWriter) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mp4"))
    write_video(greys(5)).rename(path)
    with VideoReader(path) as reader:
        assert len(list(reader)) == 5


def test_headers_that_promise_less_than_the_frames_do_not_decide_the_length(tmp_path: Path) -> None:
    parts = [film(tmp_path / f"{i}.ts", greys(50)).read_bytes() for i in range(2)]
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(parts))
    with VideoReader(path) as reader:
        frames = list(reader)
        times = [frame.time_s for frame in frames]
        assert len(frames) == 100 and times == sorted(times)
        assert reader.info.duration_s is not None and reader.info.duration_s >= times[-1]
