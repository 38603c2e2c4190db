"""What a batch may meet: none of it ends the batch, waits for ever or is called real."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from tinydf_runtime.analyzer import Analyzer
from tinydf_runtime.cli.outputs import annotation_targets, check_outputs
from tinydf_runtime.cli.run import main, network_files
from tinydf_runtime.errors import OutputError, UnreadableInputError, UsageError
from tinydf_runtime.io.files import check_file
from tinydf_runtime.io.input import expand_inputs
from tinydf_runtime.render.html.page import render_page
from tinydf_runtime.scan.work import hash_file
from tinydf_runtime.watch import Limits

VideoWriter = Callable[..., Path]


@pytest.fixture
def analyzer(tiny_classifier: Path, tiny_detector: Path) -> Analyzer:
    return Analyzer(tiny_classifier, detector=tiny_detector, threads=1)


def test_no_input_ends_a_batch(tmp_path: Path, write_video: VideoWriter, analyzer: Analyzer) -> None:
    os.mkfifo(pipe := tmp_path / "pipe.mp4")
    (loop := tmp_path / "loop.mp4").symlink_to("loop.mp4")
    (zero := tmp_path / "zero.mp4").symlink_to("/dev/zero")
    # A regular file of no size, in which a reader waits for the kernel to say something.
    (kernel := tmp_path / "kernel.mp4").symlink_to("/proc/kmsg")
    huge = tmp_path / "huge.mkv"
    # A Segment's first element of 2^63 - 2 bytes: larger than what a file can be.
    segment = b"\x18\x53\x80\x67\x01" + b"\xff" * 6 + b"\xfe"
    huge.write_bytes(b"\x1a\x45\xdf\xa3\x80" + segment + b"\x16\x54\xae\x6b\x00" * 9)
    heic = tmp_path / "photo.heic"
    heic.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(50))
    odd = [
        pipe,
        loop,
        zero,
        kernel,
        huge,
        heic,
        tmp_path / ("b" * 300 + ".mp4"),
        tmp_path / "nul\0.mp4",
        Path(os.fsdecode(b"\xe9.mp4")),
    ]
    good = write_video([np.full((120, 160, 3), 60, np.uint8)] * 5)
    items = [*analyzer.analyze_many([*map(str, odd), good])]
    assert [item.verdict for item in items] == ["error"] * len(odd) + ["no_face"]
    assert all(item.message and "\n" not in item.message for item in items[:-1])
    # The page with all evidence looks at the files once more.
    page = render_page(analyzer.report(items), None, datetime.now(timezone.utc))
    assert page.count("the file cannot be read") == len(odd) - 2  # Two are files that can be opened.


@pytest.mark.parametrize("source", ["http://[::1", 1 << 40, "99999999999999999999"])
def test_no_address_and_no_camera_ends_a_batch(analyzer: Analyzer, source: str | int) -> None:
    (item,) = analyzer.analyze_all([source]).inputs
    assert item.verdict == "error" and item.message is not None
    assert item.message.endswith("camera or stream cannot be opened. Check its number or address.")


def test_an_address_that_is_not_read_is_told_without_its_password(analyzer: Analyzer) -> None:
    item = analyzer.analyze_input("rtmp://anna:pass@camera/live")
    assert (item.verdict, item.path) == ("error", "rtmp://***@camera/live")
    assert item.message is not None and "those with rtsp://" in item.message and "pass" not in item.message


def test_an_empty_name_is_not_the_current_folder() -> None:
    with pytest.raises(UsageError, match="name is empty"):
        expand_inputs(["", "clip.mp4"])


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (b"PK\x03\x04", "a ZIP archive"),
        (b"\0" * 257 + b"ustar", "a tar archive"),
        (b"%PDF-1.7", "a PDF document"),
        (b"<!DOCTYPE HTML>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
    ],
)
def test_archives_and_documents_are_named(tmp_path: Path, analyzer: Analyzer, start: bytes, said: str) -> None:
    for name in ("a.mp4", "a.jpg"):
        (tmp_path / name).write_bytes(start + bytes(1000))
    items = analyzer.analyze_all([tmp_path / "a.mp4", tmp_path / "a.jpg"]).inputs
    assert all(item.verdict == "error" and item.message is not None and said in item.message for item in items)


def test_a_file_as_long_as_a_disk_is_hashed_no_longer_than_it_is_looked_at(
    tmp_path: Path, analyzer: Analyzer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (endless := tmp_path / "endless.mp4").open("wb") as file:
        file.truncate(1 << 43)
    item = analyzer.analyze_input(endless, limits=Limits(max_seconds=0.5))
    assert (item.verdict, item.sha256) == ("error", None)
    # Nor much longer than it takes to see that it is no video.
    monkeypatch.setattr("tinydf_runtime.analyzer.UNREADABLE_HASHING_S", 0.1)
    assert analyzer.analyze_input(endless).sha256 is None
    hashed = hash_file(str(endless), 0.2)
    assert hashed.sha256 is None and hashed.message is not None and "too long" in hashed.message


def test_devices_and_pipes_are_named(tmp_path: Path, analyzer: Analyzer) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    assert stat.S_ISFIFO((tmp_path / "pipe.png").stat().st_mode)
    for path, word in ((tmp_path / "pipe.png", "named pipe"), (Path("/dev/zero"), "device")):
        assert word in (analyzer.analyze_input(path).message or "")


@pytest.mark.parametrize("sandbox", [True, False])
def test_both_ways_of_decoding_judge_alike(
    write_video: VideoWriter, tiny_classifier: Path, tiny_detector: Path, sandbox: bool
) -> None:
    image = np.full((240, 320, 3), 90, np.uint8)
    image[60:180, 60:180] = (0, 0, 255)
    path = write_video([image] * 50)
    item = Analyzer(tiny_classifier, detector=tiny_detector, threads=1, sandbox=sandbox).analyze_input(path)
    assert (item.status, len(item.tracks), item.frames_scored) == ("ok", 1, 10)


def test_folders_that_lead_in_a_circle_are_walked_once(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").symlink_to(tmp_path)
    (tmp_path / "a" / "face.png").write_bytes(b"x")
    (tmp_path / "loop.mp4").symlink_to("loop.mp4")
    assert expand_inputs([str(tmp_path)]) == [str(tmp_path / "a" / "face.png")]


def test_a_folder_that_cannot_be_read_is_an_input_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (locked := tmp_path / "locked").mkdir()
    (tmp_path / "face.png").write_bytes(b"x")
    read = os.scandir

    def scandir(path: str | Path) -> Any:
        if Path(path) == locked:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return read(path)

    # A folder that root may not read cannot be made.
    monkeypatch.setattr(os, "scandir", scandir)
    assert expand_inputs([str(tmp_path)]) == [str(tmp_path / "face.png"), str(locked)]
    with pytest.raises(UnreadableInputError, match=r"locked: this folder cannot be read \(Permission denied\)"):
        check_file(locked)


def test_a_folder_gives_what_cameras_and_studios_write_too(tmp_path: Path) -> None:
    names = ["a.MXF", "b.dv", "c.mjpeg", "d.y4m", "e.3g2", "f.asf", "g.h264", "h.rm", "i.ivf", "j.m2v"]
    for name in (*names, "notes.txt", "sound.mp3"):
        (tmp_path / name).touch()
    assert expand_inputs([str(tmp_path)]) == [str(tmp_path / name) for name in names]


def test_no_output_goes_onto_a_network_or_an_input(tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    for path in (model, tmp_path / "model.bin", tmp_path / "clip.mp4"):
        path.write_bytes(b"x")
    os.link(model, hard := tmp_path / "other.json")
    (soft := tmp_path / "soft.json").symlink_to(model)
    models = network_files(model, None)
    for out in (model, tmp_path / "model.bin", hard, soft):
        with pytest.raises(UsageError, match="network"):
            check_outputs([out], [], models)
    os.link(tmp_path / "clip.mp4", same := tmp_path / "same.json")
    with pytest.raises(UsageError, match="input"):
        check_outputs([same], [str(tmp_path / "clip.mp4")], models)
    check_outputs([tmp_path / "free.json"], [str(tmp_path / "clip.mp4")], models)
    for odd in (tmp_path / ("n" * 252 + ".json"), tmp_path / "clip.mp4" / "a.json", tmp_path / "none" / "a.json"):
        with pytest.raises(OutputError, match="cannot be written"):
            check_outputs([odd], [], models)
    long = [f"{'n' * 251}.mp4", f"{'é' * 125}.mp4", f"{'n' * 250}.mp4"]
    drawn = annotation_targets(str(tmp_path / "drawn"), long)
    assert len({*drawn.values()}) == 3 and all(len(os.fsencode(path.name)) <= 255 for path in drawn.values())
    with pytest.raises(UsageError, match="network"):
        check_outputs([network_files(None, None)[0]], [], network_files(None, None))


def test_a_name_with_escape_sequences_is_shown_as_text(
    tmp_path: Path, write_video: VideoWriter, tiny_classifier: Path, tiny_detector: Path
) -> None:
    path = write_video([np.full((120, 160, 3), 60, np.uint8)] * 5).rename(tmp_path / "a\x1b[31mb.mp4")
    command = [str(path), str(tmp_path / "\x1b]0;none.mp4"), "--engine", str(tiny_classifier)]
    done = CliRunner().invoke(main, [*command, "--detector", str(tiny_detector)])
    assert "\x1b" not in done.output and r"a\x1b[31mb.mp4" in done.output
