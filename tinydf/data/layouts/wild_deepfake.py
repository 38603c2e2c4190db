"""WildDeepfake as its owners ship it (Zi et al., ACM MM 2020): faces that were already cut out of videos.

``deepfake_in_the_wild/{real,fake}_{train,test}/N.tar.gz``, or what they hold: ``N/{real,fake}/CLIP/*.png``, a folder of
pictures in order for each stretch of video N. Archives are read as they are; one whose folder lies beside it is not
read a second time.

N is one video from the internet and stands for the people in it: the owners name nobody, so that the same person is not
in two videos of different splits cannot be known. There is no official validation split: a tenth of the training
videos is it.
"""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from tinydf.data.layouts.listing import Clip, Failure, Listing, refuse_empty
from tinydf.data.manifest import Label, Split
from tinydf.data.splits import split_by_name
from tinydf_runtime.io.formats import IMAGE_SUFFIXES

ROOT = "deepfake_in_the_wild"
LABELS: tuple[Label, ...] = ("real", "fake")
VAL_SHARE = 0.1
_ARCHIVES = (".tar.gz", ".tgz", ".tar")


def list_clips(root: Path) -> Listing:
    """Lists the clips of a WildDeepfake folder; archives are opened for their tables of contents.

    Raises:
        UnreadableInputError: There is no clip and no archive.
    """
    top = root / ROOT if (root / ROOT).is_dir() else root
    clips: list[Clip] = []
    damaged: list[Failure] = []
    for label in LABELS:
        for part in ("train", "test"):
            folder = top / f"{label}_{part}"
            for path, number, inside in _sequences(folder):
                if inside is None:
                    damaged.append(Failure(path.relative_to(root).as_posix(), "the archive cannot be read"))
                    continue
                clips.append(_clip(path, label, part, number, inside))
    if not damaged:
        refuse_empty(clips, root, "real_train/N.tar.gz or real_train/N/real/CLIP/*.png, and the like for fake and test")
    return Listing("wilddeepfake", tuple(sorted(clips, key=lambda clip: clip.video)), damaged=tuple(damaged))


def _clip(path: Path, label: Label, part: str, number: str, inside: str) -> Clip:
    origin = f"{label}_{part}/{number}"
    split: Split = "test"
    if part == "train":
        split = split_by_name(origin, VAL_SHARE, 0.0)
    name = PurePosixPath(inside).name if inside else path.name
    return Clip(path, "sequence", label, label, "", split, f"{origin}/{name}", (origin,), (origin,), inside)


def _sequences(folder: Path) -> Iterator[tuple[Path, str, str | None]]:
    """Yields path, video number and folder within the archive: empty for a plain folder, None for a damaged archive."""
    if not folder.is_dir():
        return
    extracted = {path.name for path in folder.iterdir() if path.is_dir()}
    for number in sorted(extracted):
        pictures = (path for path in (folder / number).rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
        for sequence in sorted({path.parent for path in pictures}):
            yield sequence, number, ""
    for path in sorted(folder.iterdir()):
        number = next((path.name.removesuffix(end) for end in _ARCHIVES if path.name.endswith(end)), "")
        if not number or number in extracted or not path.is_file():
            continue
        try:
            # Some of the .tar.gz files are not compressed; tarfile looks for itself.
            with tarfile.open(path) as archive:
                names = [PurePosixPath(member.name) for member in archive if member.isfile()]
        except (OSError, tarfile.TarError, EOFError, zlib.error):
            yield path, number, None
            continue
        for inside in sorted({str(name.parent) for name in names if name.suffix.lower() in IMAGE_SUFFIXES}):
            yield path, number, inside
