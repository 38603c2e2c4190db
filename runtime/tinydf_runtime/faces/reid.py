"""Re-identifies people after a cut or an absence.

A wrong match joins two people for good; a missed one only gives a person a second track id. So a match needs a high
similarity and a clear lead over everybody else.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinydf_runtime.faces.appearance import Embedding, similarities
from tinydf_runtime.faces.matching import match_pairs

EMBEDDINGS = 4
"""Embeddings kept per person: the first, the newest, and those in between that differ."""
PEOPLE = 64
"""People remembered at most; those seen least are forgotten first."""

# Similarity that 1 of 60,000 pairs of portraits in one style reaches; and 1 of 5,000, which suffices near the place and
# time of the last sighting.
_SAME_ANYWHERE, _SAME_HERE = 1.2, 1.0
_MARGIN = 0.3
"""Lead in similarity that a match needs over everybody else."""
_NEW_VIEW = 1.3
"""Embeddings less similar than this are another view of the person, and kept too."""
_NEAR, _SMALLEST_SIZE_RATIO = 1.5, 0.6
_SHORT_ABSENCE_S = 5.0
_UNKNOWN = -10.0


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """A face that continues no track and may belong to a person seen before.

    Attributes:
        embedding: None if the face has no pixel in the picture.
        box: 4, float64, xyxy, pixels.
        setup: Number of the camera's view.
        time_s: Time in the input, seconds.
    """

    embedding: Embedding | None
    box: NDArray[np.float64]
    setup: int
    time_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """A person in the gallery.

    Attributes:
        track: Id of the track, which the person keeps.
        embeddings: At most ``EMBEDDINGS``, oldest first.
        last: The last sighting.
        sightings: Number of frames in which the person was seen.
    """

    track: int
    embeddings: tuple[Embedding, ...]
    last: Sighting
    sightings: int


class Gallery:
    """Remembers the people of one video, a bounded number of them."""

    def __init__(self) -> None:
        self._people: dict[int, Person] = {}

    def embeddings(self, track: int) -> tuple[Embedding, ...]:
        """Returns the embeddings kept of a person."""
        return self._people[track].embeddings if track in self._people else ()

    def remember(self, track: int, sighting: Sighting, clear: bool) -> None:
        """Notes a sighting of a person.

        Args:
            track: The person's number.
            sighting: The newest.
            clear: Whether nothing is in front of the face, so that the embedding is the person's own.
        """
        before = self._people.get(track)
        embeddings = () if before is None else before.embeddings
        if clear and sighting.embedding is not None:
            embeddings = with_embedding(embeddings, sighting.embedding)
        self._people[track] = Person(track, embeddings, sighting, 1 if before is None else before.sightings + 1)
        if len(self._people) > PEOPLE:
            others = (person for person in self._people.values() if person.track != track)
            del self._people[min(others, key=lambda person: (person.sightings, person.last.time_s)).track]

    def recognise(self, sightings: Sequence[Sighting], visible: Collection[int]) -> dict[int, int]:
        """Returns position in ``sightings`` -> track, for each face that clearly matches an absent person.

        Args:
            sightings: Faces of one frame that continue no track.
            visible: Tracks of the frame's other faces.
        """
        people = list(self._people.values())
        if not sightings or not people:
            return {}
        telling = [[embedding for embedding in person.embeddings if not embedding.is_plain] for person in people]
        similarity = best_similarities(telling, [_distinctive(sighting.embedding) for sighting in sightings])
        similarity = np.where(np.isnan(similarity), _UNKNOWN, similarity)
        needed = np.array([[_needed(person.last, sighting) for sighting in sightings] for person in people])
        away = np.array([person.track not in visible for person in people])
        clear = similarity - np.maximum(_best_other(similarity, 0), _best_other(similarity, 1)) >= _MARGIN
        found = (similarity >= needed) & clear & away[:, None]
        return {column: people[row].track for row, column in match_pairs(np.where(found, similarity, 0.0))}


def with_embedding(embeddings: tuple[Embedding, ...], embedding: Embedding) -> tuple[Embedding, ...]:
    """Returns a person's embeddings with a newer one: a view not seen before is added, the newest always kept."""
    if len(embeddings) < 2:
        return (*embeddings, embedding)
    # The last place is the newest's; what it held moves up only if it adds a view.
    settled = embeddings[:-1]
    adds = float(similarities(settled, embeddings[-1:]).max()) < _NEW_VIEW
    if adds and len(embeddings) < EMBEDDINGS:
        settled = embeddings
    elif adds:
        settled = (embeddings[0], *embeddings[2:])
    return (*settled, embedding)


def best_similarities(
    people: Sequence[Sequence[Embedding]], embeddings: Sequence[Embedding | None]
) -> NDArray[np.float64]:
    """Returns the similarity of each of N people, by their best embedding, to each of M: N x M, NaN where unknown."""
    every = [embedding for known in people for embedding in known]
    similarity = np.full((len(people), len(embeddings)), np.nan)
    if not every or not embeddings:
        return similarity
    pairs = similarities(every, embeddings)
    end = np.cumsum([len(known) for known in people])
    for row, known in enumerate(people):
        if known:
            similarity[row] = pairs[end[row] - len(known) : end[row]].max(axis=0)
    return similarity


def _distinctive(embedding: Embedding | None) -> Embedding | None:
    """Returns an embedding, None if it shows one tone only and identifies nobody."""
    return None if embedding is None or embedding.is_plain else embedding


def _needed(last: Sighting, sighting: Sighting) -> float:
    """Returns the similarity that a match needs: lower near the place and time of the last sighting."""
    sides = np.sqrt(np.prod([np.clip(box[2:] - box[:2], 1, None) for box in (last.box, sighting.box)], axis=1))
    centres = [(box[:2] + box[2:]) / 2 for box in (last.box, sighting.box)]
    near = float(np.linalg.norm(centres[1] - centres[0])) < _NEAR * sides.mean()
    similar_size = sides.min() / sides.max() >= _SMALLEST_SIZE_RATIO
    here = last.setup == sighting.setup and similar_size
    soon = sighting.time_s - last.time_s <= _SHORT_ABSENCE_S
    return _SAME_HERE if here and (near or soon) else _SAME_ANYWHERE


def _best_other(similarity: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Returns, for each entry, the largest of the others along an axis; very little where there is none."""
    if similarity.shape[axis] < 2:
        return np.full(similarity.shape, _UNKNOWN)
    ordered = np.sort(similarity, axis=axis)
    best, second = np.take(ordered, [-1], axis=axis), np.take(ordered, [-2], axis=axis)
    return np.where(similarity == best, second, best)
