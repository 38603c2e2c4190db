"""Network outputs -> ``Scores`` or faces; ModelFileError for a wrong shape, NaN or a value outside 0..1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydf_runtime.errors import ModelFileError
from tinydf_runtime.types import Scores

SLACK = 1e-5
"""Tolerance for rounding outside 0..1 by an engine's sigmoid."""


def checked_scores(found: Sequence[Any], count: int, map_shape: tuple[int, int] | None, source: str) -> Scores:
    """Returns a classifier's outputs for a batch as checked ``Scores``.

    Args:
        found: Probabilities and forgery maps: expected to be ``count`` and count x h x w floats from 0 to 1.
        count: Crops of the batch.
        map_shape: h and w; None for any.
        source: The model's name, for the error message.

    Raises:
        ModelFileError: It is anything else.
    """
    probability, forgery_map = found
    shape = (count, *(map_shape or np.shape(forgery_map)[1:3]))
    return Scores(
        _probabilities(probability, (count,), "fake_probability", source),
        _probabilities(forgery_map, shape, "forgery_map", source),
    )


def checked_faces(outputs: Sequence[Any], source: str) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Returns a detector's checked scores, boxes and landmarks for one picture.

    Args:
        outputs: Expected to be 1 x P floats from 0 to 1, and 1 x P x 4 and 1 x P x 5 x 2 floats.
        source: The model's name, for the error message.

    Raises:
        ModelFileError: They are anything else.
    """
    places = np.shape(outputs[0])[-1:]
    scores = _probabilities(outputs[0], (1, *places), "scores", source)
    # Boxes of cells without a face are not checked.
    boxes = _floats(outputs[1], (1, *places, 4), "boxes_xyxy", source)
    landmarks = _floats(outputs[2], (1, *places, 5, 2), "landmarks", source)
    return scores[0], boxes[0], landmarks[0]


def _probabilities(output: Any, shape: tuple[int, ...], name: str, source: str) -> NDArray[Any]:
    """Returns numbers from 0 to 1."""
    numbers = _floats(output, shape, name, source)
    if not np.isfinite(numbers).all():
        raise ModelFileError(f"{source}: gave {name} with what is no number. Export it again.")
    if numbers.size and not (numbers.min() >= -SLACK and numbers.max() <= 1 + SLACK):
        raise ModelFileError(
            f"{source}: gave {name} from {numbers.min():.3g} to {numbers.max():.3g}, expected 0 to 1. Export it again."
        )
    clipped: NDArray[Any] = np.clip(numbers, 0, 1)
    return clipped


def _floats(output: Any, shape: tuple[int, ...], name: str, source: str) -> NDArray[Any]:
    """Returns floats of a shape."""
    if not isinstance(output, np.ndarray) or output.dtype.kind != "f" or output.shape != shape:
        found = f"{output.dtype} {output.shape}" if isinstance(output, np.ndarray) else type(output).__name__
        raise ModelFileError(f"{source}: gave {name}: {found}, expected floats {shape}. Export it again.")
    return output
