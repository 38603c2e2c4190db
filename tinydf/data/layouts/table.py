"""Name of a layout -> the file here that lists its clips."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from tinydf.data.layouts.listing import Listing

LAYOUTS = {
    "ff++": "faceforensics",
    "dfdc": "dfdc",
    "deeperforensics": "deeperforensics",
    "celeb-df-v2": "celeb_df",
    "celeb-df++": "celeb_df_plus",
    "df40": "df40",
    "wilddeepfake": "wild_deepfake",
    "folders": "folders",
    "photos": "photos",
}
"""Names alone: they can be shown where the libraries that the files import are not installed."""


def list_clips(layout: str, root: Path) -> Listing:
    """Lists the clips of a folder.

    Args:
        layout: Key of ``LAYOUTS``.
        root: Folder of the set.

    Raises:
        UnreadableInputError: A list of the set is missing or damaged, or there is nothing to prepare.
    """
    return cast("Listing", import_module(f"tinydf.data.layouts.{LAYOUTS[layout]}").list_clips(root))
