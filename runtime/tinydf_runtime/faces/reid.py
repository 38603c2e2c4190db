"""People who were seen -> who of them came back after a cut or an absence.

A wrong answer joins two people for good, a missing one only gives a person a second number. So an answer needs a look
that is clearly the same and clearly nobody else's.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinydf_runtime.faces.appearance import Look, alikeness
from tinydf_runtime.faces.matching import match_pairs

LOOKS = 4
"""Kept of each person: the first, the newest, and those in between that differ."""
PEOPLE = 64
"""Remembered at most; those seen least go first."""

# Alikeness that 1 of 60,000 pairs of portraits in one style reaches, and that 1 of 5,000 does, for who comes back to
# where they were.
_SAME_ANYWHERE, _SAME_HERE = 1.2, 1.0
_MARGIN = 0.3
"""By which a look must be more alike than anybody else's."""
_NEW_VIEW = 1.3
"""Looks less alike than this show a person from another side."""
_NEAR, _SMALLEST_SIZE_RATIO = 1.5, 0.6
_SHORT_ABSENCE_S = 5.0
_UNKNOWN = -10.0


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """A face that may be somebody's.

    Attributes:
        look: None where it cannot be told.
        box: 4, float64, xyxy.
        setup: Number of the camera's view.
        time_s: When.
    """

    look: Look | None
    box: NDArray[np.float64]
    setup: int
    time_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """Somebody who was seen.

    Attributes:
        track: The number given.
        looks: At most ``LOOKS``, oldest first.
        last: The last sight.
        sights: How many there were.
    """

    track: int
    looks: tuple[Look, ...]
    last: Sight
    sights: int


class Gallery:
    """Remembers the people of one video, a bounded number of them."""

    def __init__(self) -> None:
        self._people: dict[int, Person] = {}

    def looks(self, track: int) -> tuple[Look, ...]:
        """Returns what a person was seen to look like."""
        return self._people[track].looks if track in self._people else ()

    def remember(self, track: int, sight: Sight, clear: bool) -> None:
        """Notes a sight of a person.

        Args:
            track: The person's number.
            sight: The newest.
            clear: Whether nothing is in front of the face, so that the look is the person's own.
        """
        before = self._people.get(track)
        looks = () if before is None else before.looks
        if clear and sight.look is not None:
            looks = with_look(looks, sight.look)
        self._people[track] = Person(track, looks, sight, 1 if before is None else before.sights + 1)
        if len(self._people) > PEOPLE:
            others = (person for person in self._people.values() if person.track != track)
            del self._people[min(others, key=lambda person: (person.sights, person.last.time_s)).track]

    def recognise(self, sights: Sequence[Sight], visible: Collection[int]) -> dict[int, int]:
        """Returns position in ``sights`` -> track of each face that is clearly a person's who was away.

        Args:
            sights: Faces of one frame that continue no track.
            visible: Tracks of the frame's other faces.
        """
        people = list(self._people.values())
        if not sights or not people:
            return {}
        telling = [[look for look in person.looks if not look.is_plain] for person in people]
        alike = best_alikeness(telling, [_telling(sight.look) for sight in sights])
        alike = np.where(np.isnan(alike), _UNKNOWN, alike)
        needed = np.array([[_needed(person.last, sight) for sight in sights] for person in people])
        away = np.array([person.track not in visible for person in people])
        clear = alike - np.maximum(_best_other(alike, 0), _best_other(alike, 1)) >= _MARGIN
        found = (alike >= needed) & clear & away[:, None]
        return {column: people[row].track for row, column in match_pairs(np.where(found, alike, 0.0))}


def with_look(looks: tuple[Look, ...], look: Look) -> tuple[Look, ...]:
    """Returns a person's looks with a newer one: a view not seen before is added, the newest always kept."""
    if len(looks) < 2:
        return (*looks, look)
    # The last place is the newest's; what it held moves up only if it adds a view.
    settled = looks[:-1]
    adds = float(alikeness(settled, looks[-1:]).max()) < _NEW_VIEW
    if adds and len(looks) < LOOKS:
        settled = looks
    elif adds:
        settled = (looks[0], *looks[2:])
    return (*settled, look)


def best_alikeness(people: Sequence[Sequence[Look]], looks: Sequence[Look | None]) -> NDArray[np.float64]:
    """Returns how alike each of N people's best look is to each of M looks: N x M, NaN where unknown."""
    every = [look for known in people for look in known]
    alike = np.full((len(people), len(looks)), np.nan)
    if not every or not looks:
        return alike
    pairs = alikeness(every, looks)
    end = np.cumsum([len(known) for known in people])
    for row, known in enumerate(people):
        if known:
            alike[row] = pairs[end[row] - len(known) : end[row]].max(axis=0)
    return alike


def _telling(look: Look | None) -> Look | None:
    """Returns a look unless it says nothing about who it is."""
    return None if look is None or look.is_plain else look


def _needed(last: Sight, sight: Sight) -> float:
    """Returns the alikeness that a sight of a person needs: less where, or soon after, the person was last seen."""
    sides = np.sqrt(np.prod([np.clip(box[2:] - box[:2], 1, None) for box in (last.box, sight.box)], axis=1))
    centres = [(box[:2] + box[2:]) / 2 for box in (last.box, sight.box)]
    near = float(np.linalg.norm(centres[1] - centres[0])) < _NEAR * sides.mean()
    alike_size = sides.min() / sides.max() >= _SMALLEST_SIZE_RATIO
    here = last.setup == sight.setup and alike_size
    soon = sight.time_s - last.time_s <= _SHORT_ABSENCE_S
    return _SAME_HERE if here and (near or soon) else _SAME_ANYWHERE


def _best_other(alike: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Returns, for each entry, the largest of the others along an axis; very little where there is none."""
    if alike.shape[axis] < 2:
        return np.full(alike.shape, _UNKNOWN)
    ordered = np.sort(alike, axis=axis)
    best, second = np.take(ordered, [-1], axis=axis), np.take(ordered, [-2], axis=axis)
    return np.where(alike == best, second, best)
