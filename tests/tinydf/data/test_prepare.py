import errno
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import get_args

import cv2
import pytest

from tinydf.data.layouts import photos, wild_deepfake
from tinydf.data.layouts.folders import list_clips
from tinydf.data.layouts.listing import Clip, Listing
from tinydf.data.manifest import FaceRow, Split, read_table
from tinydf.data.photos import read_photos
from tinydf.data.prepare import FAILURES_NAME, Prepared, limit_clips, prepare
from tinydf_runtime.errors import OutputError, UnreadableInputError, UsageError
from tinydf_runtime.types import Image


@pytest.fixture
def root(tmp_path: Path, face_video: Path) -> Path:
    """Plain folders with the same moving face three times."""
    for name in ("real/anna.mp4", "fake/anna.mp4", "real/bob/1.mp4"):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(face_video, tmp_path / "set" / name)
    return tmp_path / "set"


def run(root: Path, out: Path, count: int = 2) -> Prepared:
    return prepare(list_clips(root), root, out, faces_per_video=count)


def contents(out: Path) -> dict[str, bytes]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def rows(out: Path) -> list[FaceRow]:
    return list(read_table(out))


def failures(out: Path) -> str:
    return (out / FAILURES_NAME).read_text()


def test_the_table_says_of_each_face_what_the_layout_and_the_video_say(root: Path, tmp_path: Path) -> None:
    prepared = run(root, tmp_path / "out")
    assert (prepared.done, prepared.resumed, prepared.faces, prepared.failures) == (3, 0, 6, ())
    found = rows(tmp_path / "out")
    assert [(row.label, row.method, row.video, row.identities) for row in found[::2]] == [
        ("real", "real", "anna.mp4", ("anna",)),
        ("real", "real", "bob/1.mp4", ("bob",)),
        ("fake", "fake", "anna.mp4", ("anna",)),
    ]
    assert {row.source for row in found} == {"set"} and {row.track for row in found} == {1}
    assert all((tmp_path / "out" / row.file).is_file() for row in found)
    assert failures(tmp_path / "out").splitlines() == ["file,reason"]


def test_training_reads_the_table(root: Path, tmp_path: Path) -> None:
    run(root, tmp_path / "out")
    pictures = [photo for split in get_args(Split) for photo in read_photos(tmp_path / "out", split)]
    assert {photo.label for photo in pictures} == {"real", "fake"} and len(pictures) == 6
    assert all(cv2.imread(str(photo.path)) is not None for photo in pictures)


def test_what_is_done_is_not_done_again(root: Path, tmp_path: Path) -> None:
    run(root, tmp_path / "out")
    before = contents(tmp_path / "out")
    times = {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in before if name.startswith("parts/")}
    prepared = run(root, tmp_path / "out")
    assert prepared.resumed == prepared.done == 3 and prepared.faces == 6
    assert contents(tmp_path / "out") == before
    assert {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in times} == times


def test_two_workers_make_what_one_makes(root: Path, tmp_path: Path) -> None:
    run(root, tmp_path / "one")
    prepare(list_clips(root), root, tmp_path / "two", faces_per_video=2, workers=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_a_run_that_was_killed_goes_on_and_ends_as_if_nothing_had_been(
    root: Path, tmp_path: Path, face_frames: list[Image], make_clip: Callable[[Path, Iterable[Image]], Path]
) -> None:
    # Long enough to be killed in the middle of it, when the clip before it is done.
    make_clip(root / "real" / "bob" / "0.mp4", [*face_frames, *face_frames[::-1]] * 4)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "tinydf.cli.prepare", root, "--out", out, "--layout", "folders"]
    arguments = ["--faces-per-video", "2", "--workers", "1", "--quiet"]
    with subprocess.Popen([*map(str, command), *arguments]) as process:
        while not any((out / "windows" / "real" / "bob").rglob("*.png")):
            assert process.poll() is None
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    done = out / "parts" / "real" / "anna.mp4.json"
    assert done.is_file() and not (out / "parts" / "real" / "bob").exists() and not (out / "faces.parquet").exists()
    finished = done.stat().st_mtime_ns
    prepared = run(root, out)
    assert (prepared.done, prepared.resumed) == (4, 1)
    assert done.stat().st_mtime_ns == finished
    run(root, tmp_path / "undisturbed")
    assert contents(out) == contents(tmp_path / "undisturbed")


def test_bad_inputs_are_listed_and_the_rest_is_written(root: Path, tmp_path: Path, empty_video: Path) -> None:
    (root / "real" / "noise.mp4").write_bytes(b"no video at all")
    (root / "real" / "nothing.mp4").touch()
    shutil.copy(empty_video, root / "fake" / "wall.mp4")
    prepared = run(root, tmp_path / "out")
    assert prepared.faces == 6 and prepared.done == 6
    reasons = {failure.file: failure.reason for failure in prepared.failures}
    assert set(reasons) == {"real/noise.mp4", "real/nothing.mp4", "fake/wall.mp4"}
    assert "empty" in reasons["real/nothing.mp4"] and "no face" in reasons["fake/wall.mp4"]
    assert not any(str(root) in reason for reason in reasons.values())
    assert len(failures(tmp_path / "out").splitlines()) == 4


def test_a_file_that_was_copied_again_is_done_anew(root: Path, tmp_path: Path, face_video: Path) -> None:
    (root / "real" / "anna.mp4").write_bytes(face_video.read_bytes()[:2000])
    assert len(run(root, tmp_path / "out").failures) == 1
    shutil.copy(face_video, root / "real" / "anna.mp4")
    prepared = run(root, tmp_path / "out")
    assert (prepared.failures, prepared.resumed, prepared.faces) == ((), 2, 6)


def test_a_clip_that_became_another_loses_its_old_windows(root: Path, tmp_path: Path, empty_video: Path) -> None:
    run(root, tmp_path / "out")
    shutil.copy(empty_video, root / "fake" / "anna.mp4")
    assert run(root, tmp_path / "out").faces == 4
    assert not (tmp_path / "out" / "windows" / "fake" / "anna.mp4").exists()


def test_missing_and_damaged_files_of_a_listing_are_failures(root: Path, tmp_path: Path) -> None:
    listing = Listing("set", (), missing=("real/gone.mp4",))
    prepared = prepare(listing, root, tmp_path / "out")
    assert [failure.file for failure in prepared.failures] == ["real/gone.mp4"]
    assert rows(tmp_path / "out") == []


def test_a_leak_is_refused_before_anything_is_written(root: Path, tmp_path: Path) -> None:
    for split in ("train", "test"):
        shutil.copytree(root / "real", root / split / "real")
    with pytest.raises(UnreadableInputError, match=r"identity anna is in train .* and in test"):
        run(root, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_begun_with_other_settings_is_refused(root: Path, tmp_path: Path) -> None:
    run(root, tmp_path / "out", 2)
    with pytest.raises(UsageError, match="was begun with faces_per_video 2, now it is 3"):
        run(root, tmp_path / "out", 3)


def test_an_output_within_the_set_is_refused(root: Path) -> None:
    with pytest.raises(UsageError, match="lies within"):
        run(root, root / "faces")


def test_a_full_disk_ends_the_run_with_one_error(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="No space left"):
        run(root, tmp_path / "out")
    monkeypatch.undo()
    assert rows(tmp_path / "out") == []
    assert run(root, tmp_path / "out").faces == 6


def test_a_limit_takes_so_many_of_each_method_and_compression() -> None:
    clips = [
        Clip(Path(), "video", "fake", method, compression, "train", str(number), (), ())
        for method, compression in (("a", "c23"), ("a", "c40"), ("b", "c23"))
        for number in range(10)
    ]
    limited = limit_clips(clips, 2)
    assert [(clip.method, clip.compression, clip.video) for clip in limited] == [
        (method, compression, number)
        for method, compression in (("a", "c23"), ("a", "c40"), ("b", "c23"))
        for number in ("0", "5")
    ]
    assert limit_clips(clips, 99) == clips


def test_an_archive_of_pictures_is_prepared_and_not_done_again(tmp_path: Path, astronaut: Image) -> None:
    folder = tmp_path / "set" / "fake_test"
    folder.mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "0.png"), astronaut[40:200, 140:300])
    with tarfile.open(folder / "3.tar.gz", "w:gz") as archive:
        for name in ("0.png", "1.png", "2.png"):
            archive.add(tmp_path / "0.png", arcname=f"./3/fake/8/{name}")
    listing = wild_deepfake.list_clips(tmp_path / "set")
    prepared = [prepare(listing, tmp_path / "set", tmp_path / "out", faces_per_video=2) for _ in range(2)]
    assert [(run.faces, run.resumed, run.failures) for run in prepared] == [(2, 0, ()), (2, 1, ())]
    found = rows(tmp_path / "out")
    assert [(row.video, row.split, row.frame) for row in found] == [
        ("fake_test/3/8", "test", 0),
        ("fake_test/3/8", "test", 2),
    ]
    assert {path.suffix for path in (tmp_path / "out" / "windows").rglob("*") if path.is_file()} == {".png"}
    assert len(list((tmp_path / "out" / "windows").rglob("*.png"))) == 2


def test_a_photo_gives_one_window_named_after_it(tmp_path: Path, astronaut: Image) -> None:
    path = tmp_path / "set" / "anna" / "1.jpg"
    path.parent.mkdir(parents=True)
    cv2.imwrite(str(path), astronaut)
    listing = photos.list_clips(tmp_path / "set")
    prepare(listing, tmp_path / "set", tmp_path / "out")
    (row,) = rows(tmp_path / "out")
    assert (row.file, row.identities, row.track, row.time_s) == ("windows/real/anna/1.jpg.png", ("anna",), 0, 0.0)
    path.write_bytes(b"\xff\xd8\xff")
    assert [failure.file for failure in prepare(listing, tmp_path / "set", tmp_path / "out").failures] == ["anna/1.jpg"]
    assert not (tmp_path / "out" / row.file).exists()
