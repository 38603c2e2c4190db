"""Headers that would keep a reader busy for minutes, or lead it out of the file: each costs no more than a moment.

No time is measured: what is counted is how often the reader goes on.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest

from tinydf_runtime.io import jpeg_film
from tinydf_runtime.io.capture import codec_of
from tinydf_runtime.io.containers import h264, matroska, mp4
from tinydf_runtime.io.containers.container import read_container
from tinydf_runtime.io.formats import is_image
from tinydf_runtime.render.html.content_credentials import has_manifest

FTYP = b"\0\0\0\x10ftypisom\0\0\0\0"


class CountedBytes(bytes):
    """Bytes that count how often they are looked at, and how many are copied out of them."""

    looks = taken = 0

    def __getitem__(self, place: Any) -> Any:
        CountedBytes.looks += 1
        found = super().__getitem__(place)
        CountedBytes.taken += len(found) if isinstance(found, bytes) else 0
        return found


@pytest.fixture(autouse=True)
def no_looks() -> Iterator[None]:
    CountedBytes.looks = CountedBytes.taken = 0
    yield


def test_a_run_of_fill_bytes_is_passed_over_at_once() -> None:
    fill = CountedBytes(b"\xff\xd8" + b"\xff" * 100_000 + b"\xd9")
    assert jpeg_film.jpeg_end(fill, 0) == len(fill)
    assert CountedBytes.looks < 10


def test_endless_segments_of_a_jpeg_are_given_up() -> None:
    segments = CountedBytes(b"\xff\xd8" + b"\xff\xe0\0\x02" * 100_000 + b"\xff\xd9")
    assert jpeg_film.jpeg_end(segments, 0) == len(segments)
    assert CountedBytes.looks < 50_000


def test_fill_bytes_before_a_marker_are_no_end() -> None:
    comment = b"\xff\xff\xff\xfe\0\x08\xff\xd9\xff\xd9\0\0"
    whole = b"\xff\xd8" + comment + b"\xff\xda\0\x02" + b"coded\xff\xd9"
    assert jpeg_film.jpeg_end(whole, 0) == len(whole)


def test_a_film_of_jpeg_pictures_is_still_told_from_a_photo(tmp_path: Path, astronaut: Any) -> None:
    found, coded = cv2.imencode(".jpg", astronaut[::4, ::4])
    assert found
    for count, is_photo in ((1, True), (2, True), (3, False), (5, False)):
        path = tmp_path / f"{count}.jpg"
        path.write_bytes(coded.tobytes() * count)
        assert is_image(path) is is_photo


def test_a_number_of_many_zero_bits_is_no_number() -> None:
    header = b"\x01" + bytes(5) + (65_000).to_bytes(2, "big") + b"\x67\x64\0\0" + bytes(65_000)
    assert h264.may_interlace(header) is False


def test_elements_are_read_in_time_that_grows_with_their_number() -> None:
    class Counted(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return CountedBytes(super().read(size))

    voids = b"\xec\x80" * 5000
    tracks = b"\x16\x54\xae\x6b" + (len(voids) | 1 << 28).to_bytes(4, "big") + voids
    segment = b"\x18\x53\x80\x67\x01" + b"\xff" * 7 + tracks
    assert matroska.read_headers(Counted(matroska.EBML + b"\x80" + segment)).videos == 0
    assert CountedBytes.taken < 10 * len(voids)


def test_an_element_that_ends_where_no_file_can_is_damage_and_no_fault_of_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "far.mkv"
    void = b"\xec\x01" + (2**55).to_bytes(7, "big")
    segment = b"\x18\x53\x80\x67\x01" + b"\xff" * 7
    path.write_bytes(matroska.EBML + b"\x80" + segment + void * 300)
    assert read_container(path).videos is None


def test_boxes_without_end_are_given_up() -> None:
    class Counted(io.BytesIO):
        reads = 0

        def read(self, size: int | None = -1, /) -> bytes:
            self.reads += 1
            return super().read(size)

    content = FTYP + b"\0\0\0\x08free" * 300_000
    file = Counted(content)
    assert not mp4.read_headers(file, len(content)).cut_off
    assert file.reads <= 200_000


def test_a_box_longer_than_any_file_holds_no_manifest(tmp_path: Path) -> None:
    path = tmp_path / "wide.mp4"
    path.write_bytes(FTYP + struct.pack(">I4sQ", 1, b"uuid", (1 << 64) - 1) + bytes(40))
    assert has_manifest(path) is False
    path.write_bytes(b"GIF89a" + bytes(100) + b"\x21\xff\x0bC2PA_GIF" + bytes(10))
    assert has_manifest(path) is True


@pytest.mark.parametrize("number", [float(0xFFFFFFFF), -1.0, 828601953.0, 0.0])
def test_every_code_of_a_codec_has_four_letters(number: float) -> None:
    class Named:
        def get(self, which: int) -> float:
            return number

    assert len(codec_of(Named())) == 4  # type: ignore[arg-type]
