"""Name of a layout -> what lists its clips."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tinydf.data.layouts import celeb_df, deeperforensics, dfdc, faceforensics, folders, photos, wild_deepfake
from tinydf.data.layouts.listing import Listing

LAYOUTS: dict[str, Callable[[Path], Listing]] = {
    "ff++": faceforensics.list_clips,
    "dfdc": dfdc.list_clips,
    "deeperforensics": deeperforensics.list_clips,
    "celeb-df-v2": celeb_df.list_clips,
    "wilddeepfake": wild_deepfake.list_clips,
    "folders": folders.list_clips,
    "photos": photos.list_clips,
}
