"""Seconds -> words."""

from __future__ import annotations

import pytest

from tinydf_runtime.render.words import clock


@pytest.mark.parametrize(
    ("time_s", "words"),
    [(0.0, "0:00"), (6.0, "0:06"), (6.44, "0:06.4"), (59.96, "1:00"), (3600.0, "1:00:00"), (3725.5, "1:02:05.5")],
)
def test_hours_and_tenths_are_shown_only_where_there_are_some(time_s: float, words: str) -> None:
    assert clock(time_s) == words
