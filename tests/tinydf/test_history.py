from pathlib import Path

from tinydf.history import HistoryRow, read_history, write_history

ROWS = [HistoryRow(200, 0.5, 5e-4, 1.25, 0.71, 0.66, 0.67), HistoryRow(400, 1.0, 1e-4, 1.125, 0.75, 0.7, 0.72)]


def test_a_history_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert read_history(tmp_path) == []
    write_history(tmp_path, ROWS)
    assert read_history(tmp_path) == ROWS


def test_the_picture_names_what_it_shows(tmp_path: Path) -> None:
    write_history(tmp_path, ROWS)
    picture = (tmp_path / "history.svg").read_text()
    assert "<svg" in picture
    assert "twins together" in picture
