"""Videos -> slices: groups that are measured separately."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tinydf.evaluation.faces import SYNTHETIC
from tinydf.evaluation.scores import ScoredFaces
from tinydf_runtime.verdict.evidence import FULL_SIDE_PX

SIZES_PX = (64.0, FULL_SIDE_PX, 180.0)
"""Limits in pixels: small faces, faces with all the detail that the network can use, and faces that are shrunk."""
BLUR_NAMES = ("least sharp quarter", "less sharp quarter", "sharper quarter", "sharpest quarter")


@dataclass(frozen=True, slots=True)
class Slice:
    """A group of videos.

    Attributes:
        kind: By what they were grouped.
        name: Which group it is.
        chosen: videos, bool.
    """

    kind: str
    name: str
    chosen: NDArray[np.bool_]


def cut_slices(scored: ScoredFaces) -> list[Slice]:
    """Returns the groups by method, source, compression, size of the face and sharpness.

    A method's forgeries stand beside the real videos of the same source and compression, or, where code made them, of
    the same pairs. Size and sharpness are the median of a video's faces. A kind with a single group repeats the whole
    and is left out; methods are always listed.
    """
    videos = scored.videos
    rivals = np.array([video.rivals for video in videos])
    forged = np.array([video.forged for video in videos])
    methods = np.array([video.method for video in videos])
    slices = []
    for group, method in dict.fromkeys((v.rivals, v.method) for v in videos if v.forged):
        chosen = (rivals == group) & (~forged | (methods == method))
        first = next(video for video in videos if video.rivals == group)
        # Pairs of one type come from every source.
        where = () if method.startswith(SYNTHETIC) else (first.source, first.compression)
        named = " · ".join(filter(None, (*where, method)))
        slices.append(Slice("method", named, chosen))
    slices += _by("source", [video.source for video in videos])
    slices += _by("compression", [video.compression or "not named" for video in videos])
    sides = _medians(scored, [max(f.box_xyxy[2] - f.box_xyxy[0], f.box_xyxy[3] - f.box_xyxy[1]) for f in scored.faces])
    bounds = (0.0, *SIZES_PX, np.inf)
    names = [_size_name(low, high) for low, high in pairwise(bounds)]
    slices += _by("face size", [names[place] for place in np.digitize(sides, SIZES_PX)], names)
    sharpness = _medians(scored, [face.sharpness for face in scored.faces])
    quarters = np.quantile(sharpness, (0.25, 0.5, 0.75))
    slices += _by("sharpness", [BLUR_NAMES[place] for place in np.digitize(sharpness, quarters)], BLUR_NAMES)
    return slices


def _by(kind: str, names: Sequence[str], order: Sequence[str] | None = None) -> list[Slice]:
    values = np.array(names)
    found = [name for name in order or sorted(set(names)) if (values == name).any()]
    return [Slice(kind, name, values == name) for name in found] if len(found) > 1 else []


def _medians(scored: ScoredFaces, values: Sequence[float]) -> NDArray[np.float64]:
    """Returns the median of each video's faces."""
    order = np.argsort(scored.video, kind="stable")
    parts = np.split(np.array(values)[order], np.cumsum(np.bincount(scored.video))[:-1])
    return np.array([np.median(part) for part in parts])


def _size_name(low: float, high: float) -> str:
    if low == 0:
        return f"under {high:.0f} px"
    return f"{low:.0f} px and more" if np.isinf(high) else f"{low:.0f} to {high:.0f} px"
