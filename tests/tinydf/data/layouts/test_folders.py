"""Layouts of one's own files: folders real and fake, and photos of people."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tinydf.data.layouts import folders, photos
from tinydf.data.splits import refuse_leaks
from tinydf_runtime.errors import UnreadableInputError

Tree = Callable[..., Path]


def test_first_folder_or_file_name_is_the_person_and_keeps_real_and_fake_together(tree: Tree) -> None:
    names = [
        f"{label}/{name}" for label in ("real", "fake") for n in range(40) for name in (f"p{n}.mp4", f"q{n}/1.jpg")
    ]
    clips = folders.list_clips(tree(*names)).clips
    refuse_leaks(clips)
    assert {clip.split for clip in clips} == {"train", "val", "test"}
    found = {(clip.label, clip.video): clip for clip in clips}
    assert found["real", "p3.mp4"].identities == found["fake", "p3.mp4"].identities == ("p3",)
    assert found["fake", "q3/1.jpg"].identities == ("q3",)
    assert (found["fake", "q3/1.jpg"].kind, found["fake", "p3.mp4"].kind) == ("photo", "video")


def test_given_splits_are_kept(tree: Tree) -> None:
    listing = folders.list_clips(tree("train/real/a.mp4", "val/fake/b.mp4", "test/real/c.jpg"))
    assert [(clip.split, clip.label, clip.video) for clip in listing.clips] == [
        ("train", "real", "train/a.mp4"),
        ("test", "real", "test/c.jpg"),
        ("val", "fake", "val/b.mp4"),
    ]
    assert listing.source == "set"


def test_a_person_in_two_given_splits_is_refused(tree: Tree) -> None:
    with pytest.raises(UnreadableInputError, match=r"identity anna is in train .* and in test"):
        refuse_leaks(folders.list_clips(tree("train/real/anna/1.mp4", "test/fake/anna/2.mp4")).clips)


def test_hidden_and_foreign_files_are_left_out(tree: Tree) -> None:
    root = tree("real/a.mp4", "real/._a.mp4", "real/.cache/b.mp4", "real/notes.txt", "elsewhere/c.mp4")
    assert [clip.video for clip in folders.list_clips(root).clips] == ["a.mp4"]


def test_an_empty_folder_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInputError, match="folders real and fake"):
        folders.list_clips(tmp_path)


def test_capital_letters_and_other_words_for_val_are_understood(tree: Tree) -> None:
    root = tree("Train/Real/a.mp4", "train2/real/x.mp4", "valid/REAL/b.png", "valid/Fake/c.png", "Testing/fake/d.mp4")
    found = {(clip.path.name, clip.label, clip.split) for clip in folders.list_clips(root).clips}
    assert found == {
        ("a.mp4", "real", "train"),
        ("b.png", "real", "val"),
        ("c.png", "fake", "val"),
        ("d.mp4", "fake", "test"),
    }
    assert {clip.label for clip in folders.list_clips(root / "Train").clips} == {"real"}


# Photos


def test_the_folder_names_the_person_else_the_file(tree: Tree) -> None:
    clips = photos.list_clips(tree("anna/1.jpg", "anna/2.png", "set2/bob/1.jpg", "carla.jpg")).clips
    assert {clip.video: clip.identities[0] for clip in clips} == {
        "anna/1.jpg": "anna",
        "anna/2.png": "anna",
        "set2/bob/1.jpg": "set2/bob",
        "carla.jpg": "carla",
    }
    assert {(clip.label, clip.method, clip.kind) for clip in clips} == {("real", "real", "photo")}


def test_people_are_cut_into_three_splits_without_leaks(tree: Tree) -> None:
    clips = photos.list_clips(tree(*(f"p{n}/{take}.jpg" for n in range(60) for take in (1, 2)))).clips
    refuse_leaks(clips)
    assert {clip.split for clip in clips} == {"train", "val", "test"}


def test_a_folder_without_photos_says_so(tree: Tree) -> None:
    with pytest.raises(UnreadableInputError, match="photos such as"):
        photos.list_clips(tree("a.mp4"))
