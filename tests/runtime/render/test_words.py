"""Times are shown in words; names that others chose are shown, and never obeyed."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

import pytest

from tinydf_runtime.render.words import as_cell, clock, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mred\x07.mp4", r"a\x1b[31mred\x07.mp4"),
        ("a\rb\nc\x9bd", r"a\x0db\x0ac\x9bd"),
        ("gpj.\u202etxt", r"gpj.\u202etxt"),
        (os.fsdecode(b"caf\xe9"), r"caf\xe9"),
        ("Ünï 中文 💩 👩\u200d🚀 العربية", "Ünï 中文 💩 👩\u200d🚀 العربية"),
    ],
)
def test_what_would_act_on_a_terminal_is_written_out(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_formulas_stay_text(start: str) -> None:
    text = io.StringIO()
    csv.writer(text).writerow([as_cell(f'{start}HYPERLINK("http://x")')])
    (row,) = csv.reader(io.StringIO(text.getvalue(), newline=""))
    assert row[0].startswith("'" + start)
    assert as_cell("clips/a=b.mp4") == "clips/a=b.mp4" and Path(as_cell("1.mp4")) == Path("1.mp4")


# Times


@pytest.mark.parametrize(
    ("time_s", "words"),
    [(0.0, "0:00"), (6.0, "0:06"), (6.44, "0:06.4"), (59.96, "1:00"), (3600.0, "1:00:00"), (3725.5, "1:02:05.5")],
)
def test_hours_and_tenths_are_shown_only_where_there_are_some(time_s: float, words: str) -> None:
    assert clock(time_s) == words
