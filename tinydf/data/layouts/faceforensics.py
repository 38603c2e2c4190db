"""FaceForensics++ as its download script lays it out (Rössler et al., ICCV 2019).

``original_sequences/{youtube,actors}/COMPRESSION/videos/*.mp4`` and
``manipulated_sequences/METHOD/COMPRESSION/videos/*.mp4``, with the official ``train.json``, ``val.json`` and
``test.json`` in the root or in ``splits/``: lists of pairs of video numbers. A fake ``071_054`` is video 071 with the
face (or expression) of 054, so both are its identities. The owners give no names of people: a video's number stands for
the person in it.

DeepFakeDetection and its ``actors`` have no official split. They are cut by actor, and fakes of two actors in
different splits are left out. Several people act in a scene and one of them was forged: the masks, downloaded with
``-t masks`` to ``manipulated_sequences/DeepFakeDetection/masks/videos/*.mp4``, say who. Without its mask every face of
such a fake counts as forged, and a note says so. (No masks were at hand: their place is that of the download script.)
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import get_args

from tinydf.data.layouts.listing import Clip, Listing, name_some, read_list, refuse_empty, videos_in
from tinydf.data.manifest import Label, Split
from tinydf.data.splits import cut_by_identity
from tinydf_runtime.errors import UnreadableInputError

ORIGINALS = ("youtube", "actors")
METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "FaceShifter", "NeuralTextures", "DeepFakeDetection")
ACTED = ("actors", "DeepFakeDetection")
COMPRESSIONS = ("raw", "c23", "c40")
# 01__exit_phone_room and 01_02__exit_phone_room__YVGY8LOK.
_ACTED_NAME = re.compile(r"(?P<target>\d+)(_(?P<donor>\d+))?__(?P<scene>.+)")


def list_clips(root: Path) -> Listing:
    """Lists the clips of a FaceForensics++ folder.

    Raises:
        UnreadableInputError: A split list is missing, damaged or leaks, or there is no video.
    """
    folders = list(_folders(root))
    refuse_empty(
        (clip for _, clips in folders for clip in clips),
        root,
        "original_sequences/youtube/c23/videos/*.mp4 and manipulated_sequences/Deepfakes/c23/videos/*.mp4 or the like",
    )
    acted = [clip for folder, clips in folders if _is_acted(folder) for clip in clips]
    listed = [(folder, clips) for folder, clips in folders if not _is_acted(folder)]
    placed, between = cut_by_identity(acted)
    notes = []
    if between:
        notes.append(
            f"{len(between)} videos of DeepFakeDetection show actors of two splits and are left out: "
            f"{name_some([clip.video for clip in between])}."
        )
    maskless = [clip.video for clip in placed if clip.label == "fake" and clip.mask is None]
    if maskless:
        notes.append(
            f"{len(maskless)} videos of DeepFakeDetection have no mask: every face in them counts as forged, and some "
            f"are not. Download the masks too: {name_some(maskless)}."
        )
    clips: list[Clip] = []
    missing: list[str] = []
    unlisted: list[str] = []
    if listed:
        splits, pairs = _read_splits(root)
        for folder, found in listed:
            known = [clip for clip in found if clip.identities[0] in splits]
            clips += [replace(clip, split=splits[clip.identities[0]]) for clip in known]
            unlisted += [clip.video for clip in found if clip.identities[0] not in splits]
            there = {clip.video for clip in found}
            wanted = pairs if "manipulated_sequences" in folder.parts else set(splits)
            missing += [f"{folder.relative_to(root).as_posix()}/{name}.mp4" for name in sorted(wanted - there)]
    if unlisted:
        notes.append(f"{len(unlisted)} videos are in no split list and are left out: {name_some(unlisted)}.")
    return Listing("ff++", tuple(clips + placed), tuple(missing), notes=tuple(notes))


def _folders(root: Path) -> Iterator[tuple[Path, list[Clip]]]:
    """Yields each existing folder of videos with its clips, their split not yet set."""
    groups = [("original_sequences", name) for name in ORIGINALS] + [("manipulated_sequences", m) for m in METHODS]
    for top, name in groups:
        for compression in COMPRESSIONS:
            folder = root / top / name / compression / "videos"
            method = "real" if name in ORIGINALS else name
            if clips := [_clip(file, method, compression, name in ACTED) for file in videos_in(folder)]:
                yield folder, clips


def _clip(file: Path, method: str, compression: str, acted: bool) -> Clip:
    if acted and (found := _ACTED_NAME.fullmatch(file.stem)):
        target, donor = found["target"], found["donor"]
        identities = tuple(f"actor{number}" for number in (target, donor) if number)
        scene = found["scene"].rsplit("__", 1)[0] if donor else found["scene"]
        sources: tuple[str, ...] = (f"{target}__{scene}",)
    else:
        identities = sources = tuple(file.stem.split("_"))
    label: Label = "real" if method == "real" else "fake"
    mask = _mask_of(file) if acted and label == "fake" else None
    return Clip(file, "video", label, method, compression, "train", file.stem, identities, sources, mask=mask)


def _mask_of(file: Path) -> Path | None:
    """Returns the masks of a fake at ``METHOD/COMPRESSION/videos/NAME.mp4``: they are the same at each compression."""
    compression = file.parent.parent
    places = [folder / "masks" / "videos" / file.name for folder in (compression.parent, compression)]
    return next((place for place in places if place.is_file()), None)


def _is_acted(folder: Path) -> bool:
    return folder.parent.parent.name in ACTED


def _read_splits(root: Path) -> tuple[dict[str, Split], set[str]]:
    """Returns the split of each video number, and the names of all fakes.

    Raises:
        UnreadableInputError: A list is missing, no list of pairs, or names a video that another list names too.
    """
    splits: dict[str, Split] = {}
    pairs: set[str] = set()
    for split in get_args(Split):
        places = [folder / f"{split}.json" for folder in (root, root / "splits")]
        path = next((place for place in places if place.is_file()), places[0])
        for first, second in _read_pairs(path):
            pairs |= {f"{first}_{second}", f"{second}_{first}"}
            for number in (first, second):
                if splits.setdefault(number, split) != split:
                    raise UnreadableInputError(
                        f"{path}: identity {number} is in {splits[number]} and in {split}. Use the official lists."
                    )
    return splits, pairs


def _read_pairs(path: Path) -> list[tuple[str, str]]:
    try:
        values = json.loads(read_list(path))
        return [(str(first), str(second)) for first, second in values]
    except (ValueError, TypeError) as error:
        raise UnreadableInputError(
            f'{path}: no list of pairs such as ["071", "054"] ({error}). Copy the official list again.'
        ) from error
