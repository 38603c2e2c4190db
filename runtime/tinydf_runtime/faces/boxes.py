"""How far boxes overlap, for the detector's suppression and for tracking."""

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
