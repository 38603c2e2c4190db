from itertools import pairwise
from pathlib import Path

import pytest

from tinydf.data.layouts.listing import Clip
from tinydf.data.manifest import Split
from tinydf.data.splits import cut_by_identity, refuse_leaks, split_by_name, without_people_of
from tinydf_runtime.errors import UnreadableInputError


def clip(*identities: str, split: Split = "train", source: str = "") -> Clip:
    name = "_".join(identities)
    return Clip(Path(name), "video", "fake", "swap", "", split, name, identities, (source or name,))


def test_shares_are_kept_over_many_names() -> None:
    splits = [split_by_name(f"person {number}", 0.2, 0.1) for number in range(2000)]
    assert splits.count("val") / 2000 == pytest.approx(0.2, abs=0.03)
    assert splits.count("test") / 2000 == pytest.approx(0.1, abs=0.03)


def test_a_name_keeps_its_split_between_versions() -> None:
    assert [number for number in range(30) if split_by_name(f"person {number}") == "test"] == [3]


def test_clips_between_two_splits_are_separated() -> None:
    names = [f"person {number}" for number in range(60)]
    placed, between = cut_by_identity([clip(a, b) for a, b in pairwise(names)])
    refuse_leaks(placed)
    assert len(placed) + len(between) == 59 and between
    assert all(len({split_by_name(name) for name in mixed.identities}) > 1 for mixed in between)


def test_sharing_a_person_or_a_source_is_sharing() -> None:
    kept = [clip("a", source="one")]
    free, shared = without_people_of([clip("b"), clip("a", "b"), clip("c", source="one")], kept)
    assert [found.identities for found in free] == [("b",)]
    assert len(shared) == 2


def test_a_leaking_person_is_named_with_both_splits_and_clips() -> None:
    with pytest.raises(UnreadableInputError, match=r"identity b is in train \(swap a_b\) and in test \(swap b_c\)"):
        refuse_leaks([clip("a", "b"), clip("b", "c", split="test")])


def test_a_leaking_source_video_is_named() -> None:
    with pytest.raises(UnreadableInputError, match=r"source video film is in train .* and in val"):
        refuse_leaks([clip("a", source="film"), clip("b", source="film", split="val")])


def test_the_same_people_in_one_split_are_no_leak() -> None:
    refuse_leaks([clip("a", "b"), clip("b", "a"), clip("c", split="val")])
