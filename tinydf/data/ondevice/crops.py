"""The project's one crop, ``tinydf_runtime.crop.crop_face``, for a batch on the device.

A test holds both together: the same boxes give the same crops to within a level of rounding. Whoever changes one of
them changes the other.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from tinydf.data.ondevice.axes import apply_axes, sampling_axis
from tinydf.data.ondevice.randomness import Numbers, Randomness
from tinydf_runtime.crop import CropRecipe


def crop_faces(images: Tensor, boxes_xyxy: Numbers, recipe: CropRecipe) -> Tensor:
    """Cuts faces out as squares.

    Args:
        images: N x ... x H x W, levels of 0..255.
        boxes_xyxy: N x 4, pixels; with the recipe's margin they lie inside the images.
        recipe: Side and margin.

    Returns:
        N x ... x side_px x side_px, levels of 0..255, not rounded.
    """
    left, top, right, bottom = boxes_xyxy.T
    side = np.maximum(1, np.round(np.maximum(right - left, bottom - top) * (1 + 2 * recipe.margin)))
    kernels = np.where(side > recipe.side_px, "area", "linear")

    def place(low: Numbers, high: Numbers, length: int) -> Tensor:
        start = np.round((low + high - side) / 2)
        # What lies outside the square takes no part, not even in its outermost pixels.
        bounds = (np.maximum(start, 0), np.minimum(start + side, length))
        return sampling_axis(start, side / recipe.side_px, kernels, recipe.side_px, length, images.device, bounds)

    rows, columns = place(top, bottom, images.shape[-2]), place(left, right, images.shape[-1])
    return apply_axes(images, rows, columns)


def jitter_boxes(boxes_xyxy: Numbers, rng: Randomness) -> Numbers:
    """Moves and scales boxes as much as detectors disagree: ``samples.make_pair`` draws the same."""
    count, draw = len(boxes_xyxy), rng.choices.uniform
    corners = boxes_xyxy.reshape(-1, 2, 2)
    half = (corners[:, 1] - corners[:, 0]) / 2 * draw(0.9, 1.15, (count, 1))
    side = (corners[:, 1] - corners[:, 0]).max(axis=1, keepdims=True)
    middle = corners.mean(axis=1) + draw(-0.05, 0.05, (count, 2)) * side
    return np.concatenate((middle - half, middle + half), axis=1)


def scale_boxes(boxes_xyxy: Numbers, scales: Numbers, middle: float) -> Numbers:
    """Returns the boxes in images that were scaled about their middle."""
    return (boxes_xyxy - middle) * scales[:, None] + middle
