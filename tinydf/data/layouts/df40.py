"""DF40 as its owners describe it (Yan et al., "DF40", NeurIPS 2024); no copy of the set was at hand.

A folder of data sets side by side:

- ``DF40/METHOD/ff`` and ``.../cdf``: fakes made of FaceForensics++ and of Celeb-DF, to test on. ``DF40_train/METHOD``,
  with or without ``ff``: to train on, made of FaceForensics++ alone.
- ``DF40/METHOD/fake`` and ``.../real``: methods whose originals are unknown, to test on, with reals of their own.
- Reals of the others: ``FaceForensics++/original_sequences/youtube/COMPRESSION/frames`` and
  ``Celeb-DF-v2/{Celeb-real,YouTube-real}/frames``.

In each a folder of pictures is a video, below ``frames`` or not, and a picture elsewhere is a photo; the original
videos may lie there too. ``001_870`` shows both people of FaceForensics++, ``id0_id1_0000`` those of Celeb-DF.

What is compared with what stands as the compression: ``ff``, ``cdf``, or a method with reals of its own. A real of
FaceForensics++ goes where the fakes of its person are; val is cut off from training by person, and fakes of two people
in different splits are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from tinydf.data.layouts.listing import Clip, ClipKind, Listing, media_below, name_some, refuse_empty
from tinydf.data.manifest import Label, Split
from tinydf.data.splits import cut_by_identity
from tinydf_runtime.io.video import VIDEO_SUFFIXES

TEST, TRAIN = "DF40", "DF40_train"
FF_REALS = "FaceForensics++/original_sequences/youtube"
CDF_REALS = ("Celeb-DF-v2/Celeb-real", "Celeb-DF-v2/YouTube-real")
DOMAINS = ("ff", "cdf")
VAL_SHARE = 0.1


def list_clips(root: Path) -> Listing:
    """Lists the clips of a folder that holds ``DF40``, and perhaps ``DF40_train`` and the sets of the originals.

    Raises:
        UnreadableInputError: There is nothing to prepare.
    """
    fakes = [*_made(root / TEST, "test"), *_made(root / TRAIN, "train")]
    refuse_empty(fakes, root, "DF40/simswap/ff/frames/001_870/000.png or the like")
    tested = _people(fakes, "test")
    ff_reals = list(_clips(root / FF_REALS, "real", "real", "ff", "train"))
    clips = [clip for clip in fakes if clip.split == "test"]
    clips += [replace(clip, split="test") for clip in ff_reals if clip.identities[0] in tested]
    clips += [clip for name in CDF_REALS for clip in _clips(root / name, "real", "real", "cdf", "test")]
    trained = [clip for clip in fakes if clip.split == "train"]
    known = _people(trained, "train")
    trained += [clip for clip in ff_reals if clip.identities[0] in known - tested]
    placed, between = cut_by_identity(trained, VAL_SHARE, 0.0)
    return Listing("df40", (*placed, *clips), notes=tuple(_notes(clips, between, bool(ff_reals))))


def _notes(tested: list[Clip], between: list[Clip], has_reals: bool) -> Iterator[str]:
    if between:
        yield (
            f"{len(between)} videos show people of both train and val and are left out: "
            f"{name_some([clip.video for clip in between])}."
        )
    for domain, place in (("ff", FF_REALS), ("cdf", "Celeb-DF-v2")):
        labels = {clip.label for clip in tested if clip.compression == domain}
        if labels == {"fake"} and not (domain == "ff" and has_reals):
            yield f"no real videos beside the fakes of {domain}: put the originals' frames into {place}."


def _people(clips: Iterable[Clip], split: Split) -> set[str]:
    """Returns the people of FaceForensics++ that a split's fakes show."""
    return {name for clip in clips if clip.split == split and clip.compression == "ff" for name in clip.identities}


def _made(root: Path, split: Split) -> Iterator[Clip]:
    """Yields what each method made, and the reals that some bring along."""
    for method in sorted(path for path in root.glob("*") if path.is_dir()):
        groups = [method / name for name in (*DOMAINS, "fake", "real") if (method / name).is_dir()]
        for group in groups or [method]:
            real = group.name == "real"
            # Training fakes without a domain are made of FaceForensics++.
            domain = method.name if group.name in ("fake", "real") else group.name if groups else "ff"
            yield from _clips(group, "real" if real else "fake", "real" if real else method.name, domain, split)


def _clips(folder: Path, label: Label, method: str, domain: str, split: Split) -> Iterator[Clip]:
    """Yields each video, each folder of pictures and each picture that has no folder of its own."""
    seen = set[Path]()
    for file in media_below(folder):
        path, kind = _whole(file, folder)
        if path not in seen:
            seen.add(path)
            name = "/".join(part for part in path.relative_to(folder).parts if part != "frames")
            people = _identities(path.stem if kind != "sequence" else path.name, domain, f"{domain}/{label}/{name}")
            yield Clip(path, kind, label, method, domain, split, name, people, people)


def _whole(file: Path, folder: Path) -> tuple[Path, ClipKind]:
    """Returns what a file is or belongs to."""
    if file.suffix.lower() in VIDEO_SUFFIXES:
        return file, "video"
    return (file, "photo") if file.parent in (folder, folder / "frames") else (file.parent, "sequence")


def _identities(name: str, domain: str, otherwise: str) -> tuple[str, ...]:
    """Returns whom a name shows, told apart over the originals' sets; somebody of their own where it does not say."""
    if domain == "ff" and (numbers := re.findall(r"(?<!\d)\d{3}(?!\d)", name)):
        return tuple(f"ff{number}" for number in numbers)
    if domain == "cdf" and (people := re.findall(r"id\d+", name)):
        return tuple(people)
    return (otherwise,)
