import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tinydf.data.layouts.dfdc import list_clips
from tinydf.data.splits import refuse_leaks
from tinydf_runtime.errors import UnreadableInputError

Tree = Callable[..., Path]


def add_part(tree: Tree, number: int) -> Path:
    names = {
        f"real{number}.mp4": {"label": "REAL", "split": "train"},
        f"fake{number}.mp4": {"label": "FAKE", "split": "train", "original": f"real{number}.mp4"},
    }
    root = tree(*(f"dfdc_train_part_{number}/{name}" for name in names))
    (root / f"dfdc_train_part_{number}" / "metadata.json").write_text(json.dumps(names))
    return root


def test_whole_parts_make_the_splits(tree: Tree) -> None:
    for number in range(10):
        root = add_part(tree, number)
    listing = list_clips(root)
    refuse_leaks(listing.clips)
    assert not listing.notes
    splits = {clip.video: clip.split for clip in listing.clips}
    assert splits["dfdc_train_part_8/fake8"] == splits["dfdc_train_part_8/real8"] == "val"
    assert splits["dfdc_train_part_9/fake9"] == "test" and splits["dfdc_train_part_0/fake0"] == "train"
    fake = next(clip for clip in listing.clips if clip.video.endswith("fake3"))
    assert (fake.label, fake.method, fake.identities, fake.sources) == ("fake", "dfdc", ("real3",), ("real3",))


def test_with_few_parts_a_fake_still_follows_its_original_and_a_note_says_so(tree: Tree) -> None:
    root = add_part(tree, 0)
    names = {f"r{n}.mp4": {"label": "REAL"} for n in range(60)}
    fakes = {f"f{n}.mp4": {"label": "FAKE", "original": f"r{n}.mp4"} for n in range(60)}
    (root / "dfdc_train_part_0" / "metadata.json").write_text(json.dumps(names | fakes))
    tree(*(f"dfdc_train_part_0/{name}" for name in names | fakes))
    listing = list_clips(root)
    refuse_leaks(listing.clips)
    assert {clip.split for clip in listing.clips} == {"train", "val", "test"}
    assert "names no actors" in listing.notes[0]


def test_labels_csv_makes_the_test_and_validation_sets(tree: Tree) -> None:
    root = tree("test/a.mp4", "test/b.mp4", "validation/c.mp4")
    (root / "test" / "labels.csv").write_text("filename,label\na.mp4,1\nb.mp4,0\n")
    (root / "validation" / "labels.csv").write_text("filename,label\nc.mp4,1\n")
    assert {(clip.video, clip.label, clip.split) for clip in list_clips(root).clips} == {
        ("test/a", "fake", "test"),
        ("test/b", "real", "test"),
        ("validation/c", "fake", "val"),
    }


def test_an_original_in_a_part_of_another_split_is_refused(tree: Tree) -> None:
    for number in range(10):
        root = add_part(tree, number)
    entries = {"fake9.mp4": {"label": "FAKE", "original": "real1.mp4"}}
    (root / "dfdc_train_part_9" / "metadata.json").write_text(json.dumps(entries))
    with pytest.raises(UnreadableInputError, match=r"real1 is in train .* and in test"):
        refuse_leaks(list_clips(root).clips)


def test_named_files_that_are_not_there_are_missing(tree: Tree) -> None:
    root = add_part(tree, 4)
    (root / "dfdc_train_part_4" / "fake4.mp4").unlink()
    listing = list_clips(root)
    assert listing.missing == ("dfdc_train_part_4/fake4.mp4",)
    assert [clip.video for clip in listing.clips] == ["dfdc_train_part_4/real4"]


@pytest.mark.parametrize("content", ["[1]", '{"a.mp4": {"label": "MAYBE"}}', "{"])
def test_a_damaged_metadata_file_is_named(tree: Tree, content: str) -> None:
    root = add_part(tree, 0)
    (root / "dfdc_train_part_0" / "metadata.json").write_text(content)
    with pytest.raises(UnreadableInputError, match=r"metadata\.json: cannot be read"):
        list_clips(root)


def test_a_folder_without_lists_says_what_is_expected(tree: Tree) -> None:
    with pytest.raises(UnreadableInputError, match=r"metadata\.json"):
        list_clips(tree("a.mp4"))
