from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tinydf_runtime.errors import ModelFileError, UnreadableInputError
from tinydf_runtime.models.shipped import RECORD_NAME, check_recorded, read_record, write_record


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
