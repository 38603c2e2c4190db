"""files.py: whole files or none."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import BinaryIO

import pytest

from tinydf_runtime.errors import OutputError, UnreadableInputError, UsageError
from tinydf_runtime.io.files import sha256_of, write_atomically


def test_content_and_writer_function_give_the_same_file(tmp_path: Path) -> None:
    def write(file: BinaryIO) -> None:
        file.write(b"one ")
        file.write(b"two")

    write_atomically(tmp_path / "a", b"one two")
    write_atomically(tmp_path / "b", write)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() == b"one two"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt(), ValueError("bad")])
def test_failed_write_keeps_the_old_file_and_leaves_nothing_else(tmp_path: Path, failure: BaseException) -> None:
    target = tmp_path / "report.json"
    target.write_bytes(b"old")

    def write(file: BinaryIO) -> None:
        file.write(b"half")
        raise failure

    with pytest.raises(OutputError if isinstance(failure, OSError) else type(failure)) as caught:
        write_atomically(target, write)
    if isinstance(caught.value, OutputError):
        assert "report.json" in str(caught.value) and "No space left on device" in str(caught.value)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("place", ["missing/report.json", "."])
def test_place_that_cannot_be_written_is_named(tmp_path: Path, place: str) -> None:
    with pytest.raises(OutputError, match="could not be written"):
        write_atomically(tmp_path / place, b"x")
    assert list(tmp_path.iterdir()) == []


def test_own_error_of_the_writer_passes_unchanged(tmp_path: Path) -> None:
    def write(file: BinaryIO) -> None:
        raise UnreadableInputError("clip.mp4: gone.")

    with pytest.raises(UnreadableInputError, match="gone"):
        write_atomically(tmp_path / "x", write)
    with pytest.raises(UsageError):
        write_atomically(tmp_path / "x", lambda file: _raise(UsageError("no")))


def test_link_is_followed_and_file_permissions_are_usual(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)
    write_atomically(link, b"new")
    assert link.is_symlink() and target.read_bytes() == b"new"
    usual = tmp_path / "usual"
    usual.touch()
    assert target.stat().st_mode == usual.stat().st_mode


def test_device_is_written_straight() -> None:
    write_atomically(Path(os.devnull), b"x")
    assert Path(os.devnull).exists() and not Path(os.devnull).is_file()


def test_hash_equals_that_of_the_content(tmp_path: Path) -> None:
    content = bytes(range(256)) * 10_000
    write_atomically(tmp_path / "big", content)
    assert sha256_of(tmp_path / "big") == hashlib.sha256(content).hexdigest()
    with pytest.raises(UnreadableInputError, match="nothing"):
        sha256_of(tmp_path / "nothing")


def _raise(error: Exception) -> None:
    raise error


def test_hash_of_a_folder_is_that_of_its_files_and_their_names(tmp_path: Path) -> None:
    for name in ("one", "two", "other"):
        (tmp_path / name / "inner").mkdir(parents=True)
        (tmp_path / name / "inner" / "b").write_bytes(b"1")
        (tmp_path / name / "a").write_bytes(b"2")
    (tmp_path / "other" / "a").rename(tmp_path / "other" / "c")
    hashes = [sha256_of(tmp_path / name) for name in ("one", "two", "other")]
    assert hashes[0] == hashes[1] != hashes[2]
