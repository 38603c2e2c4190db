"""Parsers of our own on damaged and invented bytes: a documented error, or an answer that makes sense."""

from __future__ import annotations

import pytest

pytest.importorskip("hypothesis", reason="of the extra dev")
pytest.importorskip("av", reason="makes the files to start from")

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzzing.parsers import PARSERS

EDITS = st.lists(
    st.tuples(st.integers(0, 4000), st.integers(0, 255), st.sampled_from(["set", "cut", "insert"])), max_size=6
)


def edit(content: bytes, edits: list[tuple[int, int, str]]) -> bytes:
    """Changes, inserts and removes bytes."""
    for place, value, how in edits:
        at = place % (len(content) + 1)
        if how == "set":
            content = content[:at] + bytes([value]) + content[at + 1 :]
        elif how == "insert":
            content = content[:at] + bytes([value]) * 4 + content[at:]
        else:
            content = content[:at] + content[at + value :]
    return content


@pytest.mark.parametrize("name", PARSERS)
def test_a_parser_survives_every_file(name: str) -> None:
    parse, seeds = PARSERS[name]
    started_from = st.builds(edit, st.sampled_from(seeds()), EDITS)

    # The same examples each time, and no deadline: a busy machine is no fault of a parser.
    @settings(max_examples=120, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.one_of(started_from, st.binary(max_size=300)))
    def holds(content: bytes) -> None:
        parse(content)

    for seed in seeds():
        parse(seed)
    holds()
