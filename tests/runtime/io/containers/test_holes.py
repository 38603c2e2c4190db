"""What is missing in the middle of a film is said, whatever it is packed in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tinydf_runtime.io.containers.container import read_container
from tinydf_runtime.io.containers.packets import LEAST_BYTES, has_hole
from tinydf_runtime.io.video import VideoReader
from tinydf_runtime.sandbox.client import ChildFrames
from tinydf_runtime.sandbox.start import AVAILABLE

av = pytest.importorskip("av")

KINDS = {
    "clip.avi": "mpeg4",
    "clip.flv": "flv",
    "clip.mkv": "mpeg4",
    "clip.mpg": "mpeg1video",
    "clip.ts": "mpeg2video",
    "clip.m2ts": "mpeg2video",
    "clip.ogg": "libvpx",
}


def noise(path: Path, codec: str, pictures: int = 30, key_every: int = 12) -> bytes:
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, 25)
        stream.options = {"deadline": "realtime"} if codec == "libvpx" else {}
        stream.gop_size = key_every
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 160, 128, "yuv420p", 2_000_000
        for _ in range(pictures):
            picture = av.VideoFrame.from_ndarray(rng.integers(0, 255, (128, 160, 3), np.uint8), format="bgr24")
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))
    return path.read_bytes()


@pytest.mark.parametrize(("name", "codec"), KINDS.items())
@pytest.mark.parametrize("filling", ["zeros", "noise"])
def test_a_hole_in_the_middle_is_found_and_told(tmp_path: Path, name: str, codec: str, filling: str) -> None:
    path = tmp_path / name
    content = noise(path, codec)
    assert not has_hole(path)
    third = len(content) // 3
    hole = bytes(third) if filling == "zeros" else np.random.default_rng(1).bytes(third)
    path.write_bytes(content[:third] + hole + content[2 * third :])
    assert has_hole(path)
    with VideoReader(path) as reader:
        assert [*reader]
        assert "damaged_part" in reader.caveats


@pytest.mark.parametrize(("name", "codec"), KINDS.items())
def test_a_film_that_is_cut_off_or_padded_has_no_hole(tmp_path: Path, name: str, codec: str) -> None:
    path = tmp_path / name
    content = noise(path, codec)
    path.write_bytes(content[: len(content) // 2])
    assert not has_hole(path, cut_off=True)
    path.write_bytes(content + bytes(LEAST_BYTES - 400))
    assert not has_hole(path)


@pytest.mark.parametrize("name", ["clip.ts", "clip.m2ts"])
def test_a_transport_stream_that_ends_within_a_packet_is_cut_off(tmp_path: Path, name: str) -> None:
    path, length = tmp_path / name, 192 if name == "clip.m2ts" else 188
    content = noise(path, "mpeg2video")
    half = len(content) // 2 // length * length
    assert not read_container(path).cut_off
    for end in (half, len(content) - length):
        path.write_bytes(content[:end])
        assert not read_container(path).cut_off, "recorders stop behind any packet"
    path.write_bytes(content + bytes(1000))
    assert not read_container(path).cut_off, "padded"
    for end in (half + 5, half + 100, half + length - 1, len(content) - 1):
        path.write_bytes(content[:end])
        assert read_container(path).cut_off
        # Recordings that were cut anywhere and joined.
        path.write_bytes(content[: half + 77] + content[:end])
        assert read_container(path).cut_off
    with VideoReader(path) as reader:
        assert [*reader] and reader.truncated and reader.info.frames_expected is None


def test_a_program_stream_that_ends_within_a_packet_lacks_a_part(tmp_path: Path) -> None:
    path = tmp_path / "clip.mpg"
    content = noise(path, "mpeg1video")
    path.write_bytes(content[: len(content) // 2])
    assert has_hole(path)


def test_recordings_of_a_transport_stream_cut_anywhere_and_joined_have_no_hole(tmp_path: Path) -> None:
    path = tmp_path / "clip.ts"
    content = noise(path, "mpeg2video")
    path.write_bytes(content[:-77] + content[188 * 20 + 100 :])
    assert not has_hole(path)


@pytest.mark.parametrize("name", ["clip.ts", "clip.m2ts"])
def test_packets_of_a_transport_stream_that_were_lost_are_told(tmp_path: Path, name: str) -> None:
    """Broadcasts with poor reception: what is left are whole packets, and the decoder fills up what is missing."""
    path, length = tmp_path / name, 192 if name == "clip.m2ts" else 188
    content = noise(path, "mpeg2video")
    packets = [content[at : at + length] for at in range(0, len(content), length)]
    plain = [packet[length - 188 :] for packet in packets]
    inside = next(at for at in range(40, len(plain)) if not plain[at][1] & 0x40 and not plain[at + 1][1] & 0x40)
    path.write_bytes(b"".join(packets[:inside] + packets[inside + 1 :]))
    assert has_hole(path)
    with VideoReader(path) as reader:
        assert [*reader] and "damaged_part" in reader.caveats
    # One that was sent twice, and stuffing.
    filling = packets[0][: length - 188] + b"\x47\x1f\xff\x10" + bytes(184)
    path.write_bytes(b"".join([*packets[:inside], packets[inside - 1], filling, filling, *packets[inside:]]))
    assert not has_hole(path)


in_child = pytest.mark.skipif(not AVAILABLE, reason="the decoder's own words are heard in a child process, on Linux")


def packets_of(path: Path) -> list[tuple[int, int]]:
    """Place and length of each packet of a film."""
    with av.open(str(path)) as container:
        found = container.demux(container.streams.video[0])
        return [(packet.pos, packet.size) for packet in found if packet.size]


def read_in_child(path: Path) -> tuple[int, tuple[str, ...]]:
    """Number of pictures, and the caveats."""
    with ChildFrames(str(path), None) as frames:
        return sum(1 for _ in frames), frames.caveats


@in_child
@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.avi", "mpeg4"), ("a.mkv", "mpeg2video")]
)
def test_pictures_that_the_decoder_fills_up_are_told(tmp_path: Path, name: str, codec: str) -> None:
    """The coded data of one is noise, and all else as it should be: FFmpeg copies what is lost from before."""
    path = tmp_path / name
    content = bytearray(noise(path, codec, pictures=60))
    assert read_in_child(path) == (60, ())
    place, length = packets_of(path)[28]
    garbled = slice(place + length // 3, place + length - 8)
    content[garbled] = np.random.default_rng(2).bytes(garbled.stop - garbled.start)
    path.write_bytes(content)
    found, caveats = read_in_child(path)
    assert found > 55 and caveats == ("damaged_part",)


@in_child
def test_a_recording_that_begins_and_stops_midway_is_no_damaged_film(tmp_path: Path) -> None:
    path = tmp_path / "a.ts"
    content = noise(path, "libx264", pictures=100, key_every=10)
    packet = len(content) // 4 // 188 * 188
    path.write_bytes(content[packet:-packet])
    found, caveats = read_in_child(path)
    assert found > 20 and not caveats


@in_child
def test_pictures_that_were_taken_out_and_that_others_need_are_told(tmp_path: Path) -> None:
    """HEVC names the pictures that one needs."""
    path, whole = tmp_path / "a.mkv", tmp_path / "whole.mp4"
    noise(whole, "libx265", pictures=80)
    with av.open(str(path), "w") as out, av.open(str(whole)) as source:
        film = source.streams.video[0]
        copy = out.add_stream_from_template(film)
        for number, packet in enumerate(source.demux(film)):
            if packet.dts is not None and not 20 <= number < 40:
                packet.stream = copy
                out.mux(packet)
    found, caveats = read_in_child(path)
    assert found > 40 and caveats == ("damaged_part",)
