import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tinydf.data.layouts.wild_deepfake import list_clips
from tinydf.data.splits import refuse_leaks
from tinydf_runtime.errors import UnreadableInputError

Tree = Callable[..., Path]


def pack(root: Path, folder: str, number: str, mode: str = "w:gz") -> Path:
    """Replaces an extracted folder by its archive."""
    path = root / folder / f"{number}.tar.gz"
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        archive.add(root / folder / number, arcname=f"./{number}")
    for file in sorted((root / folder / number).rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    (root / folder / number).rmdir()
    return path


@pytest.mark.parametrize("top", ["", "deepfake_in_the_wild/"])
def test_each_folder_of_pictures_is_a_sequence_of_its_video(tree: Tree, top: str) -> None:
    names = (
        "real_train/1/real/7/0.png",
        "real_train/1/real/7/1.png",
        "real_train/1/real/8/0.png",
        "fake_test/1/fake/3/0.png",
    )
    listing = list_clips(tree(*(f"{top}{name}" for name in names)))
    refuse_leaks(listing.clips)
    assert [(clip.video, clip.label, clip.kind) for clip in listing.clips] == [
        ("fake_test/1/3", "fake", "sequence"),
        ("real_train/1/7", "real", "sequence"),
        ("real_train/1/8", "real", "sequence"),
    ]
    assert listing.clips[0].split == "test" and listing.clips[0].identities != listing.clips[1].identities


@pytest.mark.parametrize("mode", ["w:gz", "w"])
def test_an_archive_gives_the_same_clips_as_what_it_holds(tree: Tree, mode: str) -> None:
    root = tree("fake_train/12/fake/4/0.png", "fake_train/12/fake/9/0.png")
    plain = [(clip.video, clip.split, clip.identities) for clip in list_clips(root).clips]
    pack(root, "fake_train", "12", mode)
    packed = list_clips(root).clips
    assert [(clip.video, clip.split, clip.identities) for clip in packed] == plain
    assert {clip.inside for clip in packed} == {"12/fake/4", "12/fake/9"}


def test_a_tenth_of_the_training_videos_validates_and_none_of_the_test_videos(tree: Tree) -> None:
    names = [f"{folder}/{n}/real/1/0.png" for folder in ("real_train", "real_test") for n in range(60)]
    clips = list_clips(tree(*names)).clips
    assert {clip.split for clip in clips if clip.video.startswith("real_train")} == {"train", "val"}
    assert {clip.split for clip in clips if clip.video.startswith("real_test")} == {"test"}


def test_a_damaged_archive_is_listed_and_the_others_are_kept(tree: Tree) -> None:
    root = tree("real_test/1/real/1/0.png", "real_test/2/real/1/0.png")
    path = pack(root, "real_test", "2")
    path.write_bytes(path.read_bytes()[:40])
    listing = list_clips(root)
    assert [clip.video for clip in listing.clips] == ["real_test/1/1"]
    assert [failure.file for failure in listing.damaged] == ["real_test/2.tar.gz"]


def test_an_empty_folder_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInputError, match="real_train"):
        list_clips(tmp_path)
