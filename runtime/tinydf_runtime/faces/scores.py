"""Scored faces in little memory: an hour of one person takes 1.5 MB."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import astuple
from typing import overload

import numpy as np
from numpy.typing import NDArray

from tinydf_runtime.types import FaceQuality, FaceScore

_NUMBERS = 8
_QUALITIES = 9
_STEPS = tuple(step / 1000 for step in range(1001))
_UNKNOWN = (len(_STEPS),) * _QUALITIES


class FaceScores(Sequence[FaceScore]):
    """The scored faces of a person, in order of arrival, stored as numbers; each is rebuilt on access.

    One takes 82 bytes, where a ``FaceScore`` with what it refers to takes 700. Equal to any sequence of equal faces.
    """

    __slots__ = ("_maps", "_numbers", "_quality")

    def __init__(self, scores: Iterable[FaceScore] = ()) -> None:
        """Starts with some faces."""
        self._numbers = array("d")
        self._quality = array("H")
        self._maps: dict[int, NDArray[np.uint8]] = {}
        for score in scores:
            self.append(score)

    def append(self, score: FaceScore) -> None:
        """Adds a face. Its quality is kept to three digits, its other numbers as they are."""
        if score.forgery_map is not None:
            self._maps[len(self)] = score.forgery_map
        known = score.quality
        self._quality.extend(_UNKNOWN if known is None else [round(1000 * share) for share in astuple(known)])
        numbers = (score.time_s, score.frame, *score.box_xyxy, score.detection_score, score.fake_probability)
        self._numbers.extend(numbers)

    def __len__(self) -> int:
        """Returns how many there are."""
        return len(self._numbers) // _NUMBERS

    @overload
    def __getitem__(self, place: int) -> FaceScore: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[FaceScore, ...]: ...

    def __getitem__(self, place: int | slice) -> FaceScore | tuple[FaceScore, ...]:
        """Returns a face, or the faces of a slice."""
        places = range(len(self))[place]
        return self._face(places) if isinstance(places, int) else tuple(self._face(i) for i in places)

    def __eq__(self, other: object) -> bool:
        """Returns whether another sequence has equal faces."""
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        """Returns the hash of a tuple of the faces."""
        return hash(tuple(self))

    def __repr__(self) -> str:
        """Shows how many faces there are."""
        return f"<{len(self)} scored faces>"

    def _face(self, place: int) -> FaceScore:
        """Returns the face at a place from 0."""
        start = place * _NUMBERS
        time_s, frame, left, top, right, bottom, detection, probability = self._numbers[start : start + _NUMBERS]
        steps = self._quality[place * _QUALITIES : (place + 1) * _QUALITIES]
        quality = FaceQuality(*(_STEPS[step] for step in steps)) if steps[0] < len(_STEPS) else None
        box = (left, top, right, bottom)
        return FaceScore(time_s, int(frame), box, detection, probability, self._maps.get(place), quality)
