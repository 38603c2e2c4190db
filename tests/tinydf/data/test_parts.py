from pathlib import Path

import pytest

from tinydf.data.parts import Part, StoredFace, read_part, write_file, write_part
from tinydf_runtime.errors import OutputError

FACE = StoredFace("windows/a/1-000003.png", 3, 0.12, 1, (0.1, 0.2, 30.5, 40.25), tuple(range(10)), 0.9, 12.5, "ab" * 32)


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    part = Part(1234, "truncated", "cut off", (FACE, FACE))
    write_part(tmp_path / "deep" / "a.json", part)
    assert read_part(tmp_path / "deep" / "a.json") == part


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"schema": "other/1"}', '{"schema": "tinydf.part/1", "faces": [{}]}']
)
def test_a_damaged_or_foreign_record_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content)
    assert read_part(tmp_path / "a.json") is None


def test_no_record_is_none(tmp_path: Path) -> None:
    assert read_part(tmp_path / "a.json") is None


def test_a_file_where_a_folder_is_needed_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(OutputError, match="cannot be made"):
        write_file(tmp_path / "a" / "b.png", b"x")


def test_a_folder_where_a_file_is_needed_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "b.png").mkdir()
    with pytest.raises(OutputError, match="could not be written"):
        write_file(tmp_path / "b.png", b"x")
