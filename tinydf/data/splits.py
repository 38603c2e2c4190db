"""Clips -> splits without shared people: cutting by identity, and refusing lists that leak."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace

from tinydf.data.layouts.listing import Clip
from tinydf.data.manifest import Split
from tinydf_runtime.errors import UnreadableInputError

VAL_SHARE, TEST_SHARE = 0.1, 0.1


def split_by_name(name: str, val_share: float = VAL_SHARE, test_share: float = TEST_SHARE) -> Split:
    """Returns the split that a name falls into, the same on every machine and whatever else is in the set.

    Args:
        name: Of a person or a source video.
        val_share: Share of all names, 0..1.
        test_share: Share of all names, 0..1.
    """
    place = int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()[:8], "big") / 2**64
    if place < test_share:
        return "test"
    return "val" if place < test_share + val_share else "train"


def cut_by_identity(
    clips: Iterable[Clip], val_share: float = VAL_SHARE, test_share: float = TEST_SHARE
) -> tuple[list[Clip], list[Clip]]:
    """Puts clips into the splits of the people in them.

    Returns:
        The clips with their split set, and those that show people of different splits and can be in none.
    """
    placed: list[Clip] = []
    between: list[Clip] = []
    for clip in clips:
        splits = {split_by_name(identity, val_share, test_share) for identity in clip.identities}
        if len(splits) == 1:
            placed.append(replace(clip, split=splits.pop()))
        else:
            between.append(clip)
    return placed, between


def without_people_of(clips: Iterable[Clip], kept: Sequence[Clip]) -> tuple[list[Clip], list[Clip]]:
    """Separates clips that share a person or a source video with the kept ones.

    Returns:
        Those that share nothing, and those that do.
    """
    people = {name for clip in kept for name in clip.identities}
    sources = {name for clip in kept for name in clip.sources}
    free: list[Clip] = []
    shared: list[Clip] = []
    for clip in clips:
        touches = not people.isdisjoint(clip.identities) or not sources.isdisjoint(clip.sources)
        (shared if touches else free).append(clip)
    return free, shared


def refuse_leaks(clips: Iterable[Clip]) -> None:
    """Makes sure that no person and no source video is in two splits.

    Raises:
        UnreadableInputError: One is; the message names it, both splits and a clip of each.
    """
    seen: dict[tuple[str, str], Clip] = {}
    for clip in clips:
        names = [("identity", name) for name in clip.identities] + [("source video", name) for name in clip.sources]
        for name in names:
            first = seen.setdefault(name, clip)
            if first.split != clip.split:
                raise UnreadableInputError(
                    f"{name[0]} {name[1]} is in {first.split} ({_name(first)}) and in {clip.split} ({_name(clip)}). "
                    "A network would be judged on what it has seen: put all of them into one split."
                )


def _name(clip: Clip) -> str:
    return f"{clip.method} {clip.video}"
