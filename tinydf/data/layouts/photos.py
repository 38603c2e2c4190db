"""Photos of real people in any tree: the folder that a photo lies in names the person, else its file name does.

People are cut into train, val and test by the hash of their names.
"""

from __future__ import annotations

from pathlib import Path

from tinydf.data.layouts.listing import Clip, Listing, media_below, refuse_empty
from tinydf.data.splits import split_by_name
from tinydf_runtime.io.formats import IMAGE_SUFFIXES


def list_clips(root: Path) -> Listing:
    """Lists the photos in a folder and below it.

    Raises:
        UnreadableInputError: There are none.
    """
    files = [file for file in media_below(root) if file.suffix.lower() in IMAGE_SUFFIXES]
    clips = [_clip(file, root) for file in files]
    refuse_empty(clips, root, "photos such as person/photo.jpg or photo.jpg")
    return Listing(root.resolve().name, tuple(clips))


def _clip(file: Path, root: Path) -> Clip:
    below = file.relative_to(root)
    identity = below.parent.as_posix() if len(below.parts) > 1 else file.stem
    video = below.as_posix()
    return Clip(file, "photo", "real", "real", "", split_by_name(identity), video, (identity,), (video,))
