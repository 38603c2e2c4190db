"""What libraries raise where memory runs out -> smaller batches, and one line at last."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tinydf_runtime.errors import OutOfMemoryError
from tinydf_runtime.types import Scores

_WORDS = ("out of memory", "bad_alloc", "bad allocation", "failed to allocate", "insufficient memory", "alloc_failed")
"""How ONNX Runtime, OpenCV, CUDA, cuBLAS and PyTorch say it."""


def is_out_of_memory(error: BaseException) -> bool:
    """Returns whether an error of any library says that memory ran out."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(word in text for word in _WORDS)


def score_in_halves(score: Callable[[NDArray[np.uint8]], Scores], crops: NDArray[np.uint8]) -> Scores:
    """Returns the scores of a batch; where memory does not do for it, of its halves, one after the other.

    Args:
        score: Scores N crops at once, N above 0.
        crops: N x side x side x 3.

    Raises:
        OutOfMemoryError: There is not enough for one crop.
    """
    try:
        return score(crops)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        if len(crops) <= 1:
            raise OutOfMemoryError(
                "out of memory: one face cannot be scored. Close other programs, or use fewer --threads or a smaller "
                "model."
            ) from error
    # Outside the handler, which would keep the larger batch's memory alive.
    middle = len(crops) // 2
    first, second = score_in_halves(score, crops[:middle]), score_in_halves(score, crops[middle:])
    return Scores(
        np.concatenate([first.fake_probability, second.fake_probability]),
        np.concatenate([first.forgery_map, second.forgery_map]),
    )
