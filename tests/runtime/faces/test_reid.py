"""reid.py on embeddings made by hand: who is recognised, and who must not be."""

from __future__ import annotations

import numpy as np
import pytest

from tinydf_runtime.faces.appearance import Embedding, similarities
from tinydf_runtime.faces.reid import EMBEDDINGS, PEOPLE, Gallery, Sighting, best_similarities, with_embedding


def unit(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return (values / np.linalg.norm(values)).astype(np.float32)


def embedding(seed: int, like: Embedding | None = None, share: float = 0.0, plain: bool = False) -> Embedding:
    """An embedding of random edges, of which some share is another embedding's."""
    rng = np.random.default_rng(seed)
    face, whole = (unit(rng.standard_normal(size)) for size in (272, 1120))
    if like is not None:
        face = unit(share * like.face + (1 - share**2) ** 0.5 * face)
        whole = unit(share * like.whole + (1 - share**2) ** 0.5 * whole)
    return Embedding(face, whole, np.ones(210, np.float32), plain)


def sighting(seen: Embedding | None, time_s: float = 0.0, x: float = 100.0, view: int = 0) -> Sighting:
    return Sighting(seen, np.array([x, 100, x + 50, 160]), view, time_s)


def test_the_same_look_is_recognised_and_another_is_not() -> None:
    gallery = Gallery()
    gallery.remember(1, sighting(embedding(1)), clear=True)
    assert gallery.recognise([sighting(embedding(1), 60.0, x=500)], ()) == {0: 1}
    assert gallery.recognise([sighting(embedding(2), 60.0)], ()) == {}


def test_a_face_where_the_person_was_needs_less_than_one_elsewhere() -> None:
    gallery, known = Gallery(), embedding(1)
    gallery.remember(1, sighting(known), clear=True)
    rather = embedding(2, like=known, share=0.55)
    assert 1.0 < float(similarities([known], [rather])[0, 0]) < 1.2
    assert gallery.recognise([sighting(rather, 60.0)], ()) == {0: 1}
    assert gallery.recognise([sighting(rather, 60.0, x=500)], ()) == {}
    assert gallery.recognise([sighting(rather, 60.0, view=1)], ()) == {}


def test_a_face_that_two_people_look_like_is_nobody() -> None:
    gallery, first = Gallery(), embedding(1)
    gallery.remember(1, sighting(first), clear=True)
    gallery.remember(2, sighting(embedding(2, like=first, share=0.9)), clear=True)
    assert gallery.recognise([sighting(embedding(3, like=first, share=0.9))], ()) == {}


def test_a_person_whom_two_faces_look_like_is_neither() -> None:
    gallery, first = Gallery(), embedding(1)
    gallery.remember(1, sighting(first), clear=True)
    both = [sighting(embedding(2, like=first, share=0.9)), sighting(embedding(3, like=first, share=0.9))]
    assert gallery.recognise(both, ()) == {}


def test_who_is_visible_is_not_recognised_again() -> None:
    gallery = Gallery()
    gallery.remember(1, sighting(embedding(1)), clear=True)
    assert gallery.recognise([sighting(embedding(1))], {1}) == {}


@pytest.mark.parametrize("seen", [None, embedding(1, plain=True)])
def test_what_shows_nothing_is_nobody(seen: Embedding | None) -> None:
    gallery = Gallery()
    gallery.remember(1, sighting(seen), clear=True)
    assert gallery.recognise([sighting(seen)], ()) == {}


def test_a_face_behind_another_leaves_no_look() -> None:
    gallery = Gallery()
    gallery.remember(1, sighting(embedding(1)), clear=True)
    gallery.remember(1, sighting(embedding(2)), clear=False)
    assert gallery.recognise([sighting(embedding(2))], ()) == {}


def test_views_are_kept_up_to_a_bound_the_first_and_the_newest_among_them() -> None:
    views = [embedding(seed) for seed in range(10)]
    kept: tuple[Embedding, ...] = ()
    for view in views:
        kept = with_embedding(kept, view)
    assert len(kept) == EMBEDDINGS
    assert kept[0] is views[0] and kept[-1] is views[-1]


def test_an_unchanging_person_fills_two_places() -> None:
    first, kept = embedding(0), tuple[Embedding, ...]()
    for seed in range(1, 10):
        kept = with_embedding(kept, embedding(seed, like=first, share=0.99))
    assert len(kept) == 2


def test_memory_of_people_is_bounded_and_keeps_who_was_seen_most() -> None:
    gallery = Gallery()
    for time_s in range(3):
        gallery.remember(1, sighting(embedding(1), time_s), clear=True)
    for track in range(2, PEOPLE + 20):
        gallery.remember(track, sighting(embedding(track), 10.0 + track), clear=True)
    assert len(gallery._people) == PEOPLE
    assert gallery.recognise([sighting(embedding(1))], ()) == {0: 1}


def test_best_similarity_is_that_of_the_best_embedding_of_each() -> None:
    people = [(embedding(1), embedding(2)), (), (embedding(3),)]
    found = best_similarities(people, [embedding(2), None])
    assert found[0, 0] == pytest.approx(2, abs=1e-5)
    assert np.isnan(found[1]).all() and np.isnan(found[:, 1]).all()
    assert found[2, 0] < 1
