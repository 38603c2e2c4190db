from collections.abc import Callable
from pathlib import Path

import pytest

from tinydf.data.layouts.celeb_df import TEST_LIST, VAL_SHARE, list_clips
from tinydf.data.splits import refuse_leaks, split_by_name
from tinydf_runtime.errors import UnreadableInputError

Tree = Callable[..., Path]
PEOPLE = range(30)
LISTED = "1 Celeb-real/id0_0000.mp4\n0 Celeb-synthesis/id0_id1_0000.mp4\n1 YouTube-real/00001.mp4\n"


@pytest.fixture
def root(tree: Tree) -> Path:
    names = [f"Celeb-real/id{n}_000{take}.mp4" for n in PEOPLE for take in (0, 1)]
    names += [f"Celeb-synthesis/id{n}_id{n + 1}_0000.mp4" for n in PEOPLE[:-1]]
    names += [f"YouTube-real/{n:05d}.mp4" for n in range(40)]
    root = tree(*names)
    (root / TEST_LIST).write_text(LISTED)
    return root


def test_the_official_test_list_is_kept_whole(root: Path) -> None:
    listing = list_clips(root)
    assert {clip.video for clip in listing.clips if clip.split == "test"} == {"id0_0000", "id0_id1_0000", "00001"}
    assert not listing.missing


def test_nobody_of_the_test_list_is_trained_on_and_a_note_says_who_was_left_out(root: Path) -> None:
    listing = list_clips(root)
    refuse_leaks(listing.clips)
    rest = [clip for clip in listing.clips if clip.split != "test"]
    assert rest and all({"id0", "id1"}.isdisjoint(clip.identities) for clip in rest)
    # id0_0001, both videos of id1, and id1_id2_0000.
    assert listing.notes[0].startswith("4 videos outside the official test list show people of that list")


def test_people_outside_the_list_are_cut_into_train_and_val(root: Path) -> None:
    listing = list_clips(root)
    mixed = [n for n in PEOPLE[2:-1] if len({split_by_name(f"id{m}", VAL_SHARE, 0.0) for m in (n, n + 1)}) == 2]
    assert {clip.split for clip in listing.clips} == {"train", "val", "test"}
    assert listing.notes[1].startswith(f"{len(mixed)} videos show people of both train and val")
    assert sum(clip.label == "fake" for clip in listing.clips) == len(PEOPLE) - 1 - 1 - len(mixed)


def test_people_of_listed_videos_that_are_not_there_are_left_out_too(root: Path) -> None:
    (root / "Celeb-synthesis" / "id0_id1_0000.mp4").unlink()
    listing = list_clips(root)
    assert listing.missing == ("Celeb-synthesis/id0_id1_0000.mp4",)
    assert not any("id1" in clip.identities for clip in listing.clips)


@pytest.mark.parametrize("line", ["0 Celeb-real/id3_0000.mp4", "Celeb-real/id3_0000.mp4", "1 Elsewhere/a.mp4"])
def test_a_line_that_contradicts_its_folder_is_refused(root: Path, line: str) -> None:
    (root / TEST_LIST).write_text(LISTED + line)
    with pytest.raises(UnreadableInputError, match="line 4 is"):
        list_clips(root)


def test_a_missing_test_list_is_named(root: Path) -> None:
    (root / TEST_LIST).unlink()
    with pytest.raises(UnreadableInputError, match=TEST_LIST):
        list_clips(root)
