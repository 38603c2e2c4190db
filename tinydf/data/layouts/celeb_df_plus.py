"""Celeb-DF++ as its owners describe it (Li et al., "Celeb-DF++", 2025); no copy of the set was at hand.

``Celeb-real`` and ``YouTube-real`` as in Celeb-DF-v2, ``Celeb-synthesis/SCENARIO/METHOD/*.mp4`` with the scenarios
FaceSwap, FaceReenact and TalkingFace and 22 methods, and ``List_of_testing_videos.txt`` with lines such as
``0 Celeb-synthesis/FaceSwap/SimSwap/id0_id1_0000.mp4``. The method of a fake is its scenario and method,
``FaceSwap/SimSwap``.

The test list is kept whole, and everybody in it is left out of the rest, as for Celeb-DF-v2: with 22 methods that is
nearly everybody, so this is a set to measure on.
"""

from __future__ import annotations

from pathlib import Path

from tinydf.data.layouts.celeb_df import split_by_test_list
from tinydf.data.layouts.listing import Listing, refuse_empty, videos_in

REALS = ("Celeb-real", "YouTube-real")
FAKES = "Celeb-synthesis"


def list_clips(root: Path) -> Listing:
    """Lists the clips of a Celeb-DF++ folder.

    Raises:
        UnreadableInputError: The test list is missing or damaged, or there is no video.
    """
    folders = [root / name for name in REALS] + sorted((root / FAKES).glob("*/*"))
    videos = [file for folder in folders for file in videos_in(folder)]
    refuse_empty(videos, root, "Celeb-real/id0_0000.mp4 and Celeb-synthesis/FaceSwap/SimSwap/id0_id1_0000.mp4")
    return split_by_test_list("celeb-df++", root, videos)
