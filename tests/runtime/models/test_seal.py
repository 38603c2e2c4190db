from __future__ import annotations

from pathlib import Path

import pytest

from tinydf_runtime.errors import ModelFileError
from tinydf_runtime.models.seal import BLANK_SEAL, check_seal, model_files, seal


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
