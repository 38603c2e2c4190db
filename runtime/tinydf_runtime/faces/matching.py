"""Gains of pairs -> the pairing with the largest sum."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def match_pairs(gain: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Pairs rows with columns, each at most once, so that the sum of gains is the largest possible.

    Solved by shortest augmenting paths (the Hungarian method; Kuhn 1955, in the form of Jonker and Volgenant 1987).

    Args:
        gain: N x M; a pair with a gain of 0 or less is never made.

    Returns:
        Row and column of each pair, by row.
    """
    if gain.shape[0] > gain.shape[1]:
        return sorted((row, column) for column, row in match_pairs(gain.T))
    cost = -np.clip(gain, 0, None)
    rows, columns = cost.shape
    row_price, column_price = np.zeros(rows), np.zeros(columns)
    row_of = np.full(columns, -1)
    for new_row in range(rows):
        distance = np.full(columns, np.inf)
        before = np.full(columns, -1)
        done = np.zeros(columns, bool)
        row, column, length = new_row, -1, 0.0
        while row >= 0:
            through = length + cost[row] - row_price[row] - column_price
            shorter = ~done & (through < distance)
            distance[shorter], before[shorter] = through[shorter], column
            column = int(np.argmin(np.where(done, np.inf, distance)))
            length = float(distance[column])
            done[column] = True
            row = int(row_of[column])
        row_price[new_row] += length
        passed = np.flatnonzero(done & (row_of >= 0))
        row_price[row_of[passed]] += length - distance[passed]
        column_price[done] -= length - distance[done]
        while column >= 0:
            row_of[column] = row_of[before[column]] if before[column] >= 0 else new_row
            column = int(before[column])
    pairs = [(int(row_of[column]), column) for column in range(columns) if row_of[column] >= 0]
    return sorted((row, column) for row, column in pairs if gain[row, column] > 0)
