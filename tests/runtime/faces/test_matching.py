"""matching.py against trying every pairing."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from tinydf_runtime.faces.matching import match_pairs


def _best_sum(gain: np.ndarray) -> float:
    if gain.shape[0] > gain.shape[1]:
        gain = gain.T
    positive = np.clip(gain, 0, None)
    columns = range(positive.shape[1])
    return float(max(positive[range(len(chosen)), chosen].sum() for chosen in permutations(columns, len(positive))))


@pytest.mark.parametrize("seed", range(40))
def test_sum_is_the_largest_and_nothing_is_used_twice(seed: int) -> None:
    random = np.random.default_rng(seed)
    rows, columns = random.integers(1, 6, 2)
    gain = np.where(random.random((rows, columns)) < 0.6, random.random((rows, columns)), 0.0)
    if seed % 2:
        gain = np.round(gain, 1)  # many equal sums
    pairs = match_pairs(gain)
    assert sum(gain[row, column] for row, column in pairs) == pytest.approx(_best_sum(gain))
    assert all(gain[row, column] > 0 for row, column in pairs)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
    assert pairs == sorted(pairs)


def test_greedy_choice_is_given_up_for_a_better_sum() -> None:
    assert match_pairs(np.array([[1.0, 0.9], [0.8, 0.0]])) == [(0, 1), (1, 0)]


def test_nothing_to_pair() -> None:
    for shape in ((0, 0), (0, 3), (3, 0), (2, 2)):
        assert match_pairs(np.zeros(shape)) == []
