from dataclasses import replace

import numpy as np
import pytest
import torch

from tinydf.data.dataset import AlternatingPairs, PairSeries, collate
from tinydf.data.labelled import LabelledPairs
from tinydf.data.photos import Photo
from tinydf_runtime.errors import UsageError


def labelled_set(photos: list[Photo]) -> list[Photo]:
    """One method with many faces of one video, one with one face of each of two."""
    real = [replace(photo, source="set", identities=(f"p{i}",), video=f"v{i}") for i, photo in enumerate(photos[:6])]
    crowded = [replace(photos[6], source="set", label="fake", method="A", video="a", identities=("p0",))] * 20
    sparse = [
        replace(photo, source="set", label="fake", method="B", video=f"b{i}", identities=("p1",))
        for i, photo in enumerate(photos[7:9])
    ]
    return [*real, *crowded, *sparse]


def test_methods_are_drawn_alike_whatever_their_number_of_faces(drawn_photos: list[Photo]) -> None:
    pairs = LabelledPairs(labelled_set(drawn_photos), 64, 100, seed=0)
    rng = np.random.default_rng(0)
    drawn = [pairs._methods[rng.integers(len(pairs._methods))][2] for _ in range(200)]
    assert 70 < drawn.count("A") < 130


def test_a_forgery_meets_its_own_person(drawn_photos: list[Photo]) -> None:
    pictures = labelled_set(drawn_photos)
    pairs = LabelledPairs(pictures, 64, 100, seed=0)
    rng = np.random.default_rng(0)
    assert {pairs._real_for(pictures[6], rng).video for _ in range(10)} == {"v0"}
    stranger = replace(pictures[6], identities=("unknown",))
    assert len({pairs._real_for(stranger, rng).video for _ in range(60)}) > 3


def test_a_labelled_pair_has_no_map_and_depends_on_its_index_alone(drawn_photos: list[Photo]) -> None:
    first, again = (LabelledPairs(labelled_set(drawn_photos), 64, 100, seed=1) for _ in range(2))
    np.testing.assert_array_equal(first[5].forged, again[5].forged)
    images, _, maps = collate([first[5], first[6]])
    assert images.shape == (4, 3, 64, 64)
    assert torch.isnan(maps[2:]).all()
    assert (maps[:2] == 0).all()


def test_series_alternate(drawn_photos: list[Photo]) -> None:
    made = PairSeries(drawn_photos, 64, 100, seed=0)
    given = LabelledPairs(labelled_set(drawn_photos), 64, 100, seed=0)
    both = AlternatingPairs(made, given, 100)
    np.testing.assert_array_equal(both[4].forged, made[4].forged)
    np.testing.assert_array_equal(both[5].forged, given[5].forged)


def test_a_set_without_forgeries_or_without_reals_is_refused(drawn_photos: list[Photo]) -> None:
    with pytest.raises(UsageError, match="no forged picture"):
        LabelledPairs(drawn_photos, 64, 10, seed=0)
    with pytest.raises(UsageError, match="set  A: no real picture"):
        LabelledPairs([photo for photo in labelled_set(drawn_photos) if photo.label == "fake"], 64, 10, seed=0)
