from collections.abc import Callable
from pathlib import Path

import pytest

from tinydf.data.layouts.celeb_df import TEST_LIST
from tinydf.data.layouts.celeb_df_plus import list_clips
from tinydf.data.splits import refuse_leaks
from tinydf_runtime.errors import UnreadableInputError

Tree = Callable[..., Path]
SWAP, TALK = "Celeb-synthesis/FaceSwap/SimSwap", "Celeb-synthesis/TalkingFace/FLOAT"


@pytest.fixture
def root(tree: Tree) -> Path:
    names = ["Celeb-real/id0_0000.mp4", "Celeb-real/id7_0003.mp4", "YouTube-real/00001.mp4", "YouTube-real/00002.mp4"]
    names += [f"{SWAP}/id0_id1_0000.mp4", f"{SWAP}/id7_id7_0003.mp4", f"{TALK}/id0_id1_0000.mp4"]
    root = tree(*names)
    listed = ["1 Celeb-real/id0_0000.mp4", "1 YouTube-real/00001.mp4"]
    listed += [f"0 {SWAP}/id0_id1_0000.mp4", f"0 {TALK}/id0_id1_0000.mp4"]
    (root / TEST_LIST).write_text("\n".join(listed))
    return root


def test_methods_are_told_apart_by_scenario_and_name(root: Path) -> None:
    listing = list_clips(root)
    refuse_leaks(listing.clips)
    test = {(clip.method, clip.video) for clip in listing.clips if clip.split == "test"}
    assert test == {
        ("real", "id0_0000"),
        ("real", "00001"),
        ("FaceSwap/SimSwap", "id0_id1_0000"),
        ("TalkingFace/FLOAT", "id0_id1_0000"),
    }
    assert listing.source == "celeb-df++" and not listing.missing
    fake = next(clip for clip in listing.clips if clip.method == "TalkingFace/FLOAT")
    assert fake.identities == ("id0", "id1") and fake.sources == ("Celeb-real/id0_0000",)


def test_people_outside_the_list_may_be_trained_on(root: Path) -> None:
    rest = {clip.video for clip in list_clips(root).clips if clip.split != "test"}
    assert rest == {"id7_0003", "id7_id7_0003", "00002"}


def test_listed_fakes_that_are_not_there_are_named(root: Path) -> None:
    (root / TALK / "id0_id1_0000.mp4").unlink()
    assert list_clips(root).missing == (f"{TALK}/id0_id1_0000.mp4",)


def test_an_empty_folder_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInputError, match="Celeb-synthesis/FaceSwap/SimSwap"):
        list_clips(tmp_path)
