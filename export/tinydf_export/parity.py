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
    differences, map_difference, flipped = [], 0.0, set[int]()
    for batch, start in starts:
        part = slice(start, start + batch)
        scores = engine.score(crops[part])
        differences.append(np.abs(scores.fake_probability - eager.fake_probability[part]))
        map_difference = max(map_difference, float(np.abs(scores.forgery_map - eager.forgery_map[part]).max()))
        sides = (scores.fake_probability >= threshold) != (eager.fake_probability[part] >= threshold)
        flipped.update(int(index) + start for index in np.flatnonzero(sides))
    difference = np.concatenate(differences)
    return Parity(len(crops), float(difference.max()), float(difference.mean()), map_difference, len(flipped))


def require(parity: Parity, max_difference: float = MAX_DIFFERENCE) -> None:
    """Accepts an export that is as good as its network.

    Raises:
        QualityError: A probability or a cell of the forgery map differs by more than ``max_difference``, or is no
            number at all.
    """
    worst = max(parity.max_difference, parity.max_map_difference)
    # Written so that NaN is refused too.
    if not worst <= max_difference:
        raise QualityError(
            f"exported model: differs from its checkpoint by {worst:.2g}, expected at most {max_difference:g} "
            f"({parity.flipped} of {parity.crops} verdicts flipped). Nothing was written; install the versions in "
            "constraints.txt and try again."
        )
