"""A changed model file is told by its seal, a changed shipped file by the record."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tinydf_runtime.errors import ModelFileError, UnreadableInputError
from tinydf_runtime.models.seal import BLANK_SEAL, check_seal, seal
from tinydf_runtime.models.shipped import RECORD_NAME, check_recorded, read_record, write_record
from tinydf_runtime.trust.reading import model_files


def write(path: Path) -> list[Path]:
    """Writes files in the form of a sealed model and returns them."""
    files = list(model_files(path))
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
    beside = [f"content of {file.name}".encode() for file in files[1:]]
    files[0].write_bytes(seal(f"graph {BLANK_SEAL} weights".encode(), *beside))
    for file, content in zip(files[1:], beside, strict=True):
        file.write_bytes(content)
    return files


@pytest.mark.parametrize("name", ["m.onnx", "m.xml", "m.plan", "m.mlpackage"])
def test_each_changed_byte_of_each_file_breaks_the_seal_or_removes_it(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    for file in write(path):
        whole = file.read_bytes()
        assert check_seal(path)
        for place in range(len(whole)):
            file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            try:
                assert not check_seal(path)
            except ModelFileError as error:
                assert name in str(error) and file.name in str(error) and "\n" not in str(error)
        file.write_bytes(whole)


def test_files_of_two_models_do_not_fit(tmp_path: Path) -> None:
    write(tmp_path / "a.xml")
    (tmp_path / "a.bin").write_bytes(b"content of b.bin")
    with pytest.raises(ModelFileError, match=r"a\.xml or a\.bin"):
        check_seal(tmp_path / "a.xml")


def test_a_file_without_a_seal_or_that_is_missing_is_told_apart_from_a_broken_one(tmp_path: Path) -> None:
    (tmp_path / "old.onnx").write_bytes(b"graph")
    assert not check_seal(tmp_path / "old.onnx")
    assert not check_seal(tmp_path / "none.onnx")
    assert not check_seal(tmp_path)


# The record of what is shipped


def test_a_recorded_file_that_changed_or_went_is_refused_and_others_are_accepted(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("one")
    write_record(tmp_path)
    (tmp_path / "new").touch()
    check_recorded(tmp_path / "a")
    check_recorded(tmp_path / "new")
    (tmp_path / "a").write_text("two")
    with pytest.raises(ModelFileError, match=RECORD_NAME):
        check_recorded(tmp_path / "a")
    (tmp_path / "a").unlink()
    with pytest.raises(UnreadableInputError):
        check_recorded(tmp_path / "a")


def test_the_record_is_one_that_sha256sum_reads(tmp_path: Path) -> None:
    if shutil.which("sha256sum") is None:
        pytest.skip("sha256sum is not installed")
    for name in ("b", "a b"):
        (tmp_path / name).write_text(name)
    write_record(tmp_path)
    assert list(read_record(tmp_path)) == ["a b", "b"]
    subprocess.run(["sha256sum", "--check", "--strict", RECORD_NAME], cwd=tmp_path, check=True, capture_output=True)
