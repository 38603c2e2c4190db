"""Exported model against the network that it was made from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from tinydf.checkpoint import Checkpoint
from tinydf_export.traceable import Traceable
from tinydf_runtime.engine import Engine
from tinydf_runtime.errors import QualityError
from tinydf_runtime.types import Scores

MAX_DIFFERENCE = 1e-4
"""Largest difference in probability that a float32 export may show."""
MAX_MAP_DIFFERENCE = 1e-3
"""The same for a cell of the forgery map, which nothing averages."""
BATCHES = (1, 2, 5)


@dataclass(frozen=True, slots=True)
class Parity:
    """How far an exported model is from its network.

    Attributes:
        crops: Crops compared.
        max_difference: Largest difference in fake probability, over all crops and batch sizes.
        mean_difference: Mean of the same.
        max_map_difference: Largest difference in the forgery map.
        flipped: Crops that fall on the other side of the threshold.
    """

    crops: int
    max_difference: float
    mean_difference: float
    max_map_difference: float
    flipped: int


def score_eagerly(checkpoint: Checkpoint, crops: NDArray[np.uint8]) -> Scores:
    """Scores crops with the network itself, in PyTorch.

    Args:
        checkpoint: The network.
        crops: N x S x S x 3, RGB, uint8.
    """
    network = Traceable(checkpoint.build(), checkpoint.spec.temperature).eval()
    with torch.inference_mode():
        probability, forgery_map = network(torch.from_numpy(crops).permute(0, 3, 1, 2).contiguous())
    return Scores(probability.numpy(), forgery_map.numpy())


def compare(engine: Engine, eager: Scores, crops: NDArray[np.uint8]) -> Parity:
    """Compares an exported model with its network, in batches of 1, 2 and 5.

    Args:
        engine: The exported model.
        eager: What ``score_eagerly`` says about the crops.
        crops: N x S x S x 3, RGB, uint8; N is at least 1.
    """
    starts = [(batch, start) for batch in BATCHES for start in range(0, len(crops), batch)]
    threshold = engine.spec.threshold
    differences, map_differences, flipped = [], [], set[int]()
    for batch, start in starts:
        part = slice(start, start + batch)
        scores = engine.score(crops[part])
        differences.append(np.abs(scores.fake_probability - eager.fake_probability[part]))
        map_differences.append(np.abs(scores.forgery_map - eager.forgery_map[part]).max())
        sides = (scores.fake_probability >= threshold) != (eager.fake_probability[part] >= threshold)
        flipped.update(int(index) + start for index in np.flatnonzero(sides))
    difference = np.concatenate(differences)
    return Parity(
        len(crops), float(difference.max()), float(difference.mean()), float(np.max(map_differences)), len(flipped)
    )


def require(parity: Parity) -> None:
    """Accepts an export that is as good as its network.

    Raises:
        QualityError: A difference is above its bound, or is no number at all.
    """
    # Written so that NaN is refused too.
    if not (parity.max_difference <= MAX_DIFFERENCE and parity.max_map_difference <= MAX_MAP_DIFFERENCE):
        raise QualityError(
            f"exported model: differs from its checkpoint by {parity.max_difference:.2g} in probability and "
            f"{parity.max_map_difference:.2g} in the forgery map, expected at most {MAX_DIFFERENCE:g} and "
            f"{MAX_MAP_DIFFERENCE:g} ({parity.flipped} of {parity.crops} verdicts flipped). Nothing was written; "
            "install the versions in constraints.txt and try again."
        )
