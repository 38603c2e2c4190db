from collections.abc import Callable
from pathlib import Path

import pytest

from tinydf.data.layouts.photos import list_clips
from tinydf.data.splits import refuse_leaks
from tinydf_runtime.errors import UnreadableInputError

Tree = Callable[..., Path]


def test_the_folder_names_the_person_else_the_file(tree: Tree) -> None:
    clips = list_clips(tree("anna/1.jpg", "anna/2.png", "set2/bob/1.jpg", "carla.jpg")).clips
    assert {clip.video: clip.identities[0] for clip in clips} == {
        "anna/1.jpg": "anna",
        "anna/2.png": "anna",
        "set2/bob/1.jpg": "set2/bob",
        "carla.jpg": "carla",
    }
    assert {(clip.label, clip.method, clip.kind) for clip in clips} == {("real", "real", "photo")}


def test_people_are_cut_into_three_splits_without_leaks(tree: Tree) -> None:
    clips = list_clips(tree(*(f"p{n}/{take}.jpg" for n in range(60) for take in (1, 2)))).clips
    refuse_leaks(clips)
    assert {clip.split for clip in clips} == {"train", "val", "test"}


def test_a_folder_without_photos_says_so(tree: Tree) -> None:
    with pytest.raises(UnreadableInputError, match="photos such as"):
        list_clips(tree("a.mp4"))
