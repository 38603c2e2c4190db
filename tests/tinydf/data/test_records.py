from __future__ import annotations

from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path

import pytest

from tinydf.data.parts import Part, StoredFace, read_part, write_file, write_part
from tinydf.data.skipped import IN_A_ROW, NAMED, Skipped, until_readable
from tinydf_runtime.errors import OutputError, UnreadableInputError


def test_a_picture_that_cannot_be_read_is_replaced_by_the_next_one_and_named() -> None:
    skipped = Skipped()
    answers: Iterator[object] = iter(
        [UnreadableInputError("a.jpg: cut\noff."), UnreadableInputError("b.jpg: gone."), 7]
    )

    def draw() -> object:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert until_readable(draw, skipped) == 7
    assert skipped.line() == "2 pictures left out: a.jpg: cut off. b.jpg: gone."


def test_the_same_picture_counts_once() -> None:
    skipped = Skipped()
    skipped.note("a.jpg: gone.")
    skipped.note("a.jpg: gone.")
    assert skipped.line() == "1 picture left out: a.jpg: gone."


def test_a_folder_that_has_gone_ends_the_run() -> None:
    skipped, calls = Skipped(), []

    def draw() -> object:
        calls.append(1)
        raise UnreadableInputError(f"{len(calls)}.jpg: is missing.")

    with pytest.raises(UnreadableInputError, match="in a row cannot be read"):
        until_readable(draw, skipped)
    assert len(calls) == len(skipped.reasons()) == IN_A_ROW


def test_an_error_of_another_kind_is_not_swallowed() -> None:
    def draw() -> object:
        raise KeyError("mistake")

    with pytest.raises(KeyError):
        until_readable(draw, Skipped())


def test_long_lists_are_cut_in_the_line_alone() -> None:
    skipped = Skipped()
    for number in range(NAMED + 5):
        skipped.note(f"{number}.jpg: gone.")
    line = skipped.line()
    assert line is not None and line.startswith("15 pictures") and line.endswith("And 5 more.")
    assert len(skipped.reasons()) == NAMED + 5


def note_many(log: Path, first: int) -> None:
    skipped = Skipped(log)
    for number in range(first, first + 200):
        skipped.note(f"{number}.jpg: gone.")


def test_processes_share_a_log_and_a_resumed_run_goes_on_with_it(tmp_path: Path) -> None:
    log = tmp_path / "skipped.txt"
    spawn = get_context("spawn")
    workers = [spawn.Process(target=note_many, args=(log, first)) for first in (0, 100)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert set(Skipped(log).reasons()) == {f"{number}.jpg: gone." for number in range(300)}
    assert Skipped(tmp_path / "none.txt").line() is None


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
