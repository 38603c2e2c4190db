"""Small files that ask for much: each costs its own result, and neither the memory nor the time of this process."""

from __future__ import annotations

import os
import resource
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tinydf_runtime.analyzer import Analyzer
from tinydf_runtime.io.filters import has_few_colours
from tinydf_runtime.sandbox import start
from tinydf_runtime.watch import Limits

pytestmark = pytest.mark.skipif(not start.AVAILABLE, reason="this system has no sandbox")


def write_png(path: Path, side: int) -> Path:
    """Writes an even black picture of one bit a pixel: a kilobyte for a million pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = zlib.compress(bytes(1 + (side + 7) // 8) * side)
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
    return path


@pytest.fixture
def analyzer(tiny_classifier: Path, tiny_detector: Path) -> Analyzer:
    opened = Analyzer(tiny_classifier, detector=tiny_detector, threads=1)
    opened.load()
    return opened


def test_a_picture_of_400_million_pixels_is_refused_by_its_header(tmp_path: Path, analyzer: Analyzer) -> None:
    path = write_png(tmp_path / "large.png", 20_000)
    assert path.stat().st_size < 64 << 10
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    item = analyzer.analyze_input(path)
    assert (item.verdict, item.status) == ("error", "unreadable")
    assert item.message and str(path) in item.message and "PIXELS" in item.message
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kb < 100 << 10


def test_pictures_keep_to_the_time_given(tmp_path: Path, analyzer: Analyzer) -> None:
    # Far more than can be decoded in so little time.
    item = analyzer.analyze_input(write_png(tmp_path / "slow.png", 12_000), limits=Limits(max_seconds=0.05))
    assert (item.verdict, item.status, item.fake_probability) == ("error", "timeout", None)
    assert item.message and "no picture in the time given" in item.message


PROGRAM = """
import json, os, socket, sys
from tinydf_runtime.sandbox import worker
from tinydf_runtime.sandbox.ring import make_memory
import tinydf_runtime.io.file_frames

worker.MEMORY_BYTES = worker.LEAST_MEMORY_BYTES = 150 << 20
ours, theirs = socket.socketpair()
asked = {"path": sys.argv[1], "kind": "image", "sample_fps": None, "max_pixels": None, "folder": None}
worker.work(asked, theirs, make_memory())
print(ours.recv(1 << 16).decode().splitlines()[-1])
try:
    os.write(os.open(sys.argv[1] + ".out", os.O_WRONLY | os.O_CREAT), b"x")
except OSError as error:
    print(error.errno)
print(open("/proc/self/oom_score_adj").read())
"""


def test_a_decoder_that_grows_is_stopped_and_can_write_nothing(tmp_path: Path) -> None:
    # 192 MB, decoded.
    path = write_png(tmp_path / "large.png", 8_000)
    command = [sys.executable, "-c", PROGRAM, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    said, refused, score = done.stdout.splitlines()[:3]
    assert '"error"' in said and "large.png" in said
    assert (int(refused), int(score)) == (27, 1000)
    assert (tmp_path / "large.png.out").stat().st_size == 0


def test_counting_the_colours_of_a_picture_takes_little_memory() -> None:
    image = np.zeros((4000, 4000, 3), np.uint8)
    image[:, ::2] = 255
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        few = has_few_colours(image)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        os.write(writing, f"{few} {grown}".encode())
        os._exit(0)
    os.waitpid(pid, 0)
    said, grown_kb = os.read(reading, 100).decode().split()
    assert said == "True" and int(grown_kb) < 120 << 10


@pytest.mark.parametrize("limit", ["RLIMIT_NOFILE, (30, 30)", "RLIMIT_CPU, (50, 50)", "RLIMIT_CORE, (0, 0)"])
def test_lower_limits_of_the_user_stay_and_blame_no_file(write_video: Callable[..., Path], limit: str) -> None:
    path = write_video([np.full((48, 64, 3), 90, np.uint8)] * 5)
    code = f"""
import resource, sys
resource.setrlimit(resource.{limit})
from tinydf_runtime.decode import decode
with decode(sys.argv[1], "video") as frames:
    print(len(list(frames)))
"""
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout == "5\n"
