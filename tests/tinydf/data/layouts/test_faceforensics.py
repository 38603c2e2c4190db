import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tinydf.data.layouts.faceforensics import list_clips
from tinydf.data.splits import refuse_leaks, split_by_name
from tinydf_runtime.errors import UnreadableInputError

Tree = Callable[..., Path]
REAL = "original_sequences/youtube/c23/videos"
FAKE = "manipulated_sequences/Deepfakes/c23/videos"
LISTS: dict[str, Any] = {"train": [["000", "003"]], "val": [["010", "011"]], "test": [["020", "021"]]}


def write_lists(folder: Path, lists: dict[str, Any] = LISTS) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, pairs in lists.items():
        (folder / f"{name}.json").write_text(json.dumps(pairs))


def whole(tree: Tree) -> Path:
    pairs = [pair for pairs in LISTS.values() for pair in pairs]
    names = [f"{REAL}/{number}.mp4" for pair in pairs for number in pair]
    names += [f"{FAKE}/{a}_{b}.mp4" for pair in pairs for a, b in (pair, pair[::-1])]
    return tree(*names)


@pytest.mark.parametrize("place", [".", "splits"])
def test_official_lists_give_the_splits_of_originals_and_fakes(tree: Tree, place: str) -> None:
    root = whole(tree)
    write_lists(root / place)
    listing = list_clips(root)
    found = {(clip.method, clip.video): clip for clip in listing.clips}
    assert len(found) == 12 and not listing.missing and not listing.notes
    fake = found["Deepfakes", "003_000"]
    assert (fake.label, fake.compression, fake.split) == ("fake", "c23", "train")
    assert set(fake.identities) == {"000", "003"}
    assert found["real", "021"].split == "test" and found["real", "010"].split == "val"
    refuse_leaks(listing.clips)


def test_the_same_name_in_two_methods_and_compressions_is_told_apart(tree: Tree) -> None:
    root = tree(
        *(
            f"manipulated_sequences/{m}/{c}/videos/000_003.mp4"
            for m in ("FaceSwap", "Face2Face")
            for c in ("c23", "c40")
        )
    )
    write_lists(root)
    assert {(clip.method, clip.compression) for clip in list_clips(root).clips} == {
        (method, compression) for method in ("FaceSwap", "Face2Face") for compression in ("c23", "c40")
    }


def test_listed_videos_that_are_not_there_are_named(tree: Tree) -> None:
    root = whole(tree)
    write_lists(root)
    (root / REAL / "011.mp4").unlink()
    (root / FAKE / "020_021.mp4").unlink()
    assert list_clips(root).missing == (f"{REAL}/011.mp4", f"{FAKE}/020_021.mp4")


def test_a_fake_of_two_splits_is_refused_with_its_identity_and_both(tree: Tree) -> None:
    root = whole(tree)
    write_lists(root)
    (root / FAKE / "000_010.mp4").touch()
    with pytest.raises(UnreadableInputError, match=r"identity 010 is in (val|train) .* and in (val|train)"):
        refuse_leaks(list_clips(root).clips)


def test_a_video_in_two_lists_is_refused(tree: Tree) -> None:
    root = whole(tree)
    write_lists(root, LISTS | {"test": [["020", "003"]]})
    with pytest.raises(UnreadableInputError, match="identity 003 is in train and in test"):
        list_clips(root)


def test_videos_in_no_list_are_left_out_and_said(tree: Tree) -> None:
    root = whole(tree)
    write_lists(root)
    (root / REAL / "999.mp4").touch()
    listing = list_clips(root)
    assert "999" not in {clip.video for clip in listing.clips}
    assert "1 videos are in no split list" in listing.notes[0] and "999" in listing.notes[0]


def test_actors_are_cut_by_person_and_mixed_fakes_left_out(tree: Tree) -> None:
    numbers = [f"{number:02d}" for number in range(1, 29)]
    actors = [f"original_sequences/actors/c23/videos/{number}__exit_phone_room.mp4" for number in numbers]
    fakes = [
        f"manipulated_sequences/DeepFakeDetection/c23/videos/{a}_{b}__exit_phone_room__AB12CD34.mp4"
        for a, b in pairwise(numbers)
    ]
    listing = list_clips(tree(*actors, *fakes))
    refuse_leaks(listing.clips)
    assert {clip.split for clip in listing.clips} == {"train", "val", "test"}
    mixed = [a for a, b in pairwise(numbers) if split_by_name(f"actor{a}") != split_by_name(f"actor{b}")]
    assert len(listing.clips) == len(actors) + len(fakes) - len(mixed)
    assert f"{len(mixed)} videos of DeepFakeDetection" in listing.notes[0]
    assert f"{len(fakes) - len(mixed)} videos of DeepFakeDetection have no mask" in listing.notes[1]
    fake = next(clip for clip in listing.clips if clip.video.startswith("01_02__"))
    assert fake.identities == ("actor01", "actor02") and fake.sources == ("01__exit_phone_room",)


def test_fakes_of_actors_know_their_masks_and_others_have_none(tree: Tree) -> None:
    name = "01_01__exit_phone_room__AB12CD34.mp4"
    masks = f"manipulated_sequences/DeepFakeDetection/masks/videos/{name}"
    fakes = [f"manipulated_sequences/DeepFakeDetection/{compression}/videos/{name}" for compression in ("c23", "c40")]
    real = "original_sequences/actors/c23/videos/01__exit_phone_room.mp4"
    root = tree(*fakes, masks, real)
    listing = list_clips(root)
    assert [clip.mask for clip in listing.clips if clip.label == "fake"] == [root / masks] * 2
    assert [clip.mask for clip in listing.clips if clip.label == "real"] == [None]
    assert not listing.notes


@pytest.mark.parametrize("content", ["{", "[1, 2]", '[["000"]]'])
def test_a_damaged_list_is_named(tree: Tree, content: str) -> None:
    root = whole(tree)
    write_lists(root)
    (root / "val.json").write_text(content)
    with pytest.raises(UnreadableInputError, match=r"val\.json: no list of pairs"):
        list_clips(root)


def test_missing_lists_and_empty_folders_say_what_is_expected(tree: Tree, tmp_path: Path) -> None:
    with pytest.raises(UnreadableInputError, match=r"train\.json.*Copy the list"):
        list_clips(whole(tree))
    with pytest.raises(UnreadableInputError, match="original_sequences"):
        list_clips(tmp_path / "nowhere")
