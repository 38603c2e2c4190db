"""Overlap of boxes, for suppression and tracking, and the best pairing of two sets."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def overlap_iou(first_xyxy: NDArray[np.float64], second_xyxy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the intersection over union of every pair of boxes.

    Args:
        first_xyxy: N x 4, left, top, right, bottom.
        second_xyxy: M x 4, in the same pixels.

    Returns:
        N x M, 0..1; boxes without area overlap nothing.
    """
    top_left = np.maximum(first_xyxy[:, None, :2], second_xyxy[None, :, :2])
    bottom_right = np.minimum(first_xyxy[:, None, 2:], second_xyxy[None, :, 2:])
    sides = np.maximum(bottom_right - top_left, 0)
    intersection = sides[..., 0] * sides[..., 1]
    union = _area(first_xyxy)[:, None] + _area(second_xyxy)[None, :] - intersection
    return np.asarray(np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0))


def keep_best(boxes_xyxy: NDArray[np.float64], scores: NDArray[np.float64], iou: float) -> list[int]:
    """Returns which boxes stay when each drops the lower-scored ones that overlap it (non-maximum suppression).

    Args:
        boxes_xyxy: N x 4.
        scores: N.
        iou: A box overlapping a better one by more than this is dropped, 0..1.

    Returns:
        Row numbers, best score first; equal scores keep their order.
    """
    kept: list[int] = []
    waiting = np.argsort(-scores, kind="stable")
    while waiting.size:
        best, waiting = int(waiting[0]), waiting[1:]
        kept.append(best)
        if not waiting.size:
            break
        waiting = waiting[overlap_iou(boxes_xyxy[best : best + 1], boxes_xyxy[waiting])[0] <= iou]
    return kept


def _area(boxes_xyxy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the area of each box, 0 for one turned inside out."""
    sides = np.maximum(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], 0)
    return np.asarray(sides[:, 0] * sides[:, 1])


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
