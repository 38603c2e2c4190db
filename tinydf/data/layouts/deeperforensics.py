"""DeeperForensics-1.0 as its owners ship it (Jiang et al., CVPR 2020).

``manipulated_videos/VARIANT/TARGET_ACTOR.mp4``: the face of a paid actor (M101, W004) on a FaceForensics++ video (000).
Eleven variants: end_to_end, reenact_postprocess and nine with perturbations; all follow the official
``lists/splits/{train,val,test}.txt``, a name a line, with or without a folder before it.

The real counterpart is not in the download: the owners ask for the 1,000 FaceForensics++ originals at c23. They are
read from ``original_sequences/youtube/c23/videos`` below the root (copied or linked), each in the split of its fake.

``source_videos/ACTOR/**/*.mp4`` are real too and take the split of their actor. The owners warn that they are not the
real part for detection: a studio tells them from the fakes, so a score on them says little. They are told apart by
their compression, ``source_videos``.
"""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from tinydf.data.layouts.listing import Clip, Listing, media_below, name_some, read_list, refuse_empty, videos_in
from tinydf.data.manifest import Split
from tinydf_runtime.errors import UnreadableInputError

TARGETS = Path("original_sequences", "youtube", "c23", "videos")
STUDIO = "source_videos"


def list_clips(root: Path) -> Listing:
    """Lists the clips of a DeeperForensics-1.0 folder.

    Raises:
        UnreadableInputError: A split list is missing or leaks, or there is no video.
    """
    variants = sorted(path for path in (root / "manipulated_videos").glob("*") if videos_in(path))
    fakes = [(variant, file) for variant in variants for file in videos_in(variant)]
    targets, studio = videos_in(root / TARGETS), media_below(root / STUDIO)
    if not fakes and not studio:
        refuse_empty((), root, "manipulated_videos/end_to_end/000_M101.mp4 or the like")
    splits = _read_splits(root)
    of_target = {name.split("_")[0]: split for name, split in splits.items()}
    of_actor = {name.split("_")[-1]: split for name, split in splits.items()}
    clips = [_fake(file, variant.name, splits[file.stem]) for variant, file in fakes if file.stem in splits]
    clips += [_real(file, "c23", of_target[file.stem], file.stem) for file in targets if file.stem in of_target]
    unlisted = [f"{variant.name}/{file.stem}" for variant, file in fakes if file.stem not in splits]
    for file in studio:
        actor = file.relative_to(root / STUDIO).parts[0]
        if actor in of_actor:
            clips.append(_real(file, STUDIO, of_actor[actor], actor))
        else:
            unlisted.append(file.stem)
    missing = [
        f"{variant.relative_to(root).as_posix()}/{name}.mp4"
        for variant in variants
        for name in sorted(splits.keys() - {file.stem for file in videos_in(variant)})
    ]
    return Listing("deeperforensics", tuple(clips), tuple(missing), notes=tuple(_notes(unlisted, targets, studio)))


def _notes(unlisted: list[str], targets: list[Path], studio: list[Path]) -> list[str]:
    notes = []
    if unlisted:
        notes.append(f"{len(unlisted)} videos are in no split list and are left out: {name_some(unlisted)}.")
    if not targets:
        notes.append(f"no real target videos: the set comes without them. Put FaceForensics++'s into {TARGETS}.")
    if studio:
        notes.append(f"{len(studio)} {STUDIO} are real, but their studio gives them away: judge no network on them.")
    return notes


def _fake(file: Path, variant: str, split: Split) -> Clip:
    target, _, actor = file.stem.partition("_")
    return Clip(file, "video", "fake", variant, "", split, file.stem, (target, actor), (target,))


def _real(file: Path, compression: str, split: Split, identity: str) -> Clip:
    return Clip(file, "video", "real", "real", compression, split, file.stem, (identity,), (file.stem,))


def _read_splits(root: Path) -> dict[str, Split]:
    """Returns the split of each fake's name.

    Raises:
        UnreadableInputError: A list is missing, or two name one video.
    """
    splits: dict[str, Split] = {}
    for split in get_args(Split):
        path = root / "lists" / "splits" / f"{split}.txt"
        for line in read_list(path).split():
            name = Path(line).stem
            if splits.setdefault(name, split) != split:
                raise UnreadableInputError(
                    f"{path}: source video {name} is in {splits[name]} and in {split}. Use the official lists."
                )
    return splits
