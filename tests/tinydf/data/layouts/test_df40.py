from collections.abc import Callable
from pathlib import Path

import pytest

from tinydf.data.layouts.df40 import VAL_SHARE, list_clips
from tinydf.data.layouts.listing import Clip
from tinydf.data.splits import refuse_leaks, split_by_name
from tinydf_runtime.errors import UnreadableInputError

Tree = Callable[..., Path]
REALS = "FaceForensics++/original_sequences/youtube/c23/frames"


@pytest.fixture
def root(tree: Tree) -> Path:
    names = [f"DF40/simswap/ff/frames/001_870/{n:03d}.png" for n in range(3)]
    names += ["DF40/simswap/cdf/frames/id0_id1_0000/000.png", "DF40/StyleGAN2/ff/001/seed0188.png"]
    names += ["DF40/MidJourney/fake/a.png", "DF40/MidJourney/real/b.png", "DF40/heygen/fake/frames/x/000.png"]
    names += ["DF40/lia/ff/001_870.mp4", "DF40_train/uniface/frames/500_501/000.png", "DF40_train/lia/ff/502/0.png"]
    names += [f"{REALS}/{number}/000.png" for number in ("001", "870", "500", "501", "502", "999")]
    names += ["Celeb-DF-v2/Celeb-real/frames/id0_0000/000.png", "Celeb-DF-v2/YouTube-real/frames/00170/000.png"]
    return tree(*names)


def found(root: Path) -> dict[tuple[str, str, str], Clip]:
    return {(clip.method, clip.compression, clip.video): clip for clip in list_clips(root).clips}


def test_folders_are_videos_loose_pictures_are_photos_and_videos_stay_videos(root: Path) -> None:
    clips = found(root)
    swap = clips["simswap", "ff", "001_870"]
    assert (swap.kind, swap.label, swap.split, swap.identities) == ("sequence", "fake", "test", ("ff001", "ff870"))
    assert clips["MidJourney", "MidJourney", "a.png"].kind == "photo"
    assert clips["lia", "ff", "001_870.mp4"].kind == "video"
    assert clips["heygen", "heygen", "x"].kind == "sequence"
    assert clips["simswap", "cdf", "id0_id1_0000"].identities == ("id0", "id1")
    assert clips["StyleGAN2", "ff", "001"].identities == ("ff001",)


def test_reals_stand_beside_the_fakes_of_their_people(root: Path) -> None:
    clips = found(root)
    assert clips["real", "ff", "c23/001"].split == "test"
    assert clips["real", "cdf", "id0_0000"].split == clips["real", "cdf", "00170"].split == "test"
    assert clips["real", "MidJourney", "b.png"].label == "real"
    assert clips["real", "ff", "c23/502"].split == split_by_name("ff502", VAL_SHARE, 0.0)
    # Nobody made a fake of this one.
    assert ("real", "ff", "c23/999") not in clips
    refuse_leaks(clips.values())


def test_training_fakes_are_of_ff_with_or_without_its_folder(root: Path) -> None:
    clips = found(root)
    assert clips["lia", "ff", "502"].split != "test"
    splits = {split_by_name(f"ff{number}", VAL_SHARE, 0.0) for number in (500, 501)}
    assert (("uniface", "ff", "500_501") in clips) == (len(splits) == 1)


def test_fakes_without_reals_are_said(tree: Tree) -> None:
    root = tree("DF40/simswap/ff/frames/001_870/000.png", "DF40/simswap/cdf/frames/id0_id1_0000/000.png")
    notes = " ".join(list_clips(root).notes)
    assert "beside the fakes of ff" in notes and "beside the fakes of cdf" in notes


def test_an_empty_folder_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInputError, match="DF40/simswap/ff/frames"):
        list_clips(tmp_path)
