from collections.abc import Callable
from pathlib import Path

import pytest

from tinydf.data.layouts.deeperforensics import list_clips
from tinydf.data.splits import refuse_leaks
from tinydf_runtime.errors import UnreadableInputError

Tree = Callable[..., Path]
NAMES = {"train": "000_M101", "val": "001_W004", "test": "002_M007"}


@pytest.fixture
def root(tree: Tree) -> Path:
    names = [
        f"manipulated_videos/{kind}/{name}.mp4"
        for kind in ("end_to_end", "end_to_end_level_5")
        for name in NAMES.values()
    ]
    names += [f"original_sequences/youtube/c23/videos/{number}.mp4" for number in ("000", "001", "002", "003")]
    names += ["source_videos/W004/light_up/happy/camera_front/W004_light_up_happy_camera_front.mp4"]
    root = tree(*names)
    (root / "lists" / "splits").mkdir(parents=True)
    for split, name in NAMES.items():
        (root / "lists" / "splits" / f"{split}.txt").write_text(f"{name}.mp4\n")
    return root


def test_every_variant_follows_the_official_lists(root: Path) -> None:
    listing = list_clips(root)
    refuse_leaks(listing.clips)
    fakes = [clip for clip in listing.clips if clip.label == "fake"]
    assert {(clip.method, clip.split) for clip in fakes} == {
        (kind, split) for kind in ("end_to_end", "end_to_end_level_5") for split in NAMES
    }
    assert {clip.identities for clip in fakes if clip.split == "test"} == {("002", "M007")}


def test_targets_and_studio_videos_take_the_split_of_their_fakes(root: Path) -> None:
    real = {clip.video: clip for clip in list_clips(root).clips if clip.label == "real"}
    assert {name: clip.split for name, clip in real.items()} == {
        "000": "train",
        "001": "val",
        "002": "test",
        "W004_light_up_happy_camera_front": "val",
    }
    assert real["W004_light_up_happy_camera_front"].identities == ("W004",)
    assert real["W004_light_up_happy_camera_front"].compression == "source_videos" != real["000"].compression


def test_absent_fakes_are_named(root: Path) -> None:
    (root / "manipulated_videos" / "end_to_end" / "001_W004.mp4").unlink()
    assert list_clips(root).missing == ("manipulated_videos/end_to_end/001_W004.mp4",)


def test_a_set_without_its_real_half_says_where_to_get_it(root: Path) -> None:
    for file in (root / "original_sequences" / "youtube" / "c23" / "videos").iterdir():
        file.unlink()
    assert any("no real target videos" in note for note in list_clips(root).notes)


def test_an_actor_in_two_lists_is_refused(root: Path) -> None:
    (root / "manipulated_videos" / "end_to_end" / "005_M101.mp4").touch()
    (root / "lists" / "splits" / "test.txt").write_text("002_M007.mp4\n005_M101.mp4\n")
    with pytest.raises(UnreadableInputError, match=r"identity M101 is in train .* and in test"):
        refuse_leaks(list_clips(root).clips)


def test_a_missing_list_is_named(root: Path) -> None:
    (root / "lists" / "splits" / "val.txt").unlink()
    with pytest.raises(UnreadableInputError, match=r"val\.txt"):
        list_clips(root)
