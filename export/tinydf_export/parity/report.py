"""Exported model + scores of its PyTorch network -> parity report, held to bounds.

On golden crops the report gives the largest differences, on labelled crops the loss of AUC.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from tinydf.checkpoint import Checkpoint
from tinydf_calibration.agreement import MAX_AUC_DROP, Agreement, compare_verdicts
from tinydf_calibration.sampler import LabelledCrops
from tinydf_export.graph.float_graph import Traceable
from tinydf_export.parity.verify import TOLERANCE
from tinydf_runtime.errors import QualityError
from tinydf_runtime.models.spec import Precision
from tinydf_runtime.types import Scores

MAX_MAP_DIFFERENCE: dict[Precision, float] = {"fp32": 1e-3, "fp16": 0.1, "w8": 0.25, "int8": 0.5}
"""Largest difference in a cell of the forgery map, which nothing averages, that an export may show on a golden crop."""
BATCHES = (1, 2, 5)
_EAGER_BATCH = 16


class Scorer(Protocol):
    """An engine with the exported model, or an interpreter where the engine is missing."""

    def score(self, crops: NDArray[np.uint8]) -> Scores:
        """Returns the scores of N x side x side x 3 RGB uint8 crops, in the order given."""


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
    probabilities, maps = [], []
    with torch.inference_mode():
        for start in range(0, len(crops), _EAGER_BATCH):
            part = torch.from_numpy(crops[start : start + _EAGER_BATCH])
            probability, forgery_map = network(part.permute(0, 3, 1, 2).contiguous())
            probabilities.append(probability.numpy())
            maps.append(forgery_map.numpy())
    return Scores(np.concatenate(probabilities), np.concatenate(maps))


def compare_golden(model: Scorer, eager: Scores, crops: NDArray[np.uint8], threshold: float) -> Parity:
    """Compares an exported model with its network, in batches of 1, 2 and 5.

    Args:
        model: The exported model.
        eager: Scores of the crops by ``score_eagerly``.
        crops: N x S x S x 3, RGB, uint8; N is at least 1.
        threshold: Probability from which a face counts as fake.
    """
    starts = [(batch, start) for batch in BATCHES for start in range(0, len(crops), batch)]
    differences, map_differences, flipped = [], [], set[int]()
    for batch, start in starts:
        part = slice(start, start + batch)
        scores = model.score(crops[part])
        differences.append(np.abs(scores.fake_probability - eager.fake_probability[part]))
        map_differences.append(np.abs(scores.forgery_map - eager.forgery_map[part]).max())
        sides = (scores.fake_probability >= threshold) != (eager.fake_probability[part] >= threshold)
        flipped.update(int(index) + start for index in np.flatnonzero(sides))
    difference = np.concatenate(differences)
    return Parity(
        len(crops), float(difference.max()), float(difference.mean()), float(np.max(map_differences)), len(flipped)
    )


def require_parity(parity: Parity, precision: Precision) -> None:
    """Accepts an export that is as good as its network, as far as its precision allows.

    Raises:
        QualityError: A difference is above its bound, or is no number at all.
    """
    bound, map_bound = TOLERANCE[precision], MAX_MAP_DIFFERENCE[precision]
    # Written so that NaN is refused too.
    if not (parity.max_difference <= bound and parity.max_map_difference <= map_bound):
        advice = "install the versions in constraints.txt" if precision == "fp32" else "export with a higher precision"
        raise QualityError(
            f"exported model: differs from its checkpoint by {parity.max_difference:.2g} in probability and "
            f"{parity.max_map_difference:.2g} in the forgery map, expected at most {bound:g} and {map_bound:g} "
            f"({parity.flipped} of {parity.crops} verdicts flipped). Nothing was written; {advice} and try again."
        )


@dataclass(frozen=True, slots=True)
class Reference:
    """Scores of the PyTorch network.

    Attributes:
        golden: N x side x side x 3, RGB, uint8.
        golden_scores: About these.
        given: Crops with their truth, None without any.
        given_scores: About these.
    """

    golden: NDArray[np.uint8]
    golden_scores: Scores
    given: LabelledCrops | None = None
    given_scores: Scores | None = None


@dataclass(frozen=True, slots=True)
class ParityReport:
    """How far an exported model is from its network.

    Attributes:
        golden: On the golden crops, in several batch sizes.
        given: On given crops, None without any.
        max_auc_drop: Loss of AUC that was allowed.
    """

    golden: Parity
    given: Agreement | None
    max_auc_drop: float

    def to_dict(self) -> dict[str, Any]:
        """Returns the figures as plain JSON values, as they stand under ``proof`` in the model's metadata."""
        return {
            "golden": asdict(self.golden),
            "given": None if self.given is None else self.given.to_dict(),
            "max_auc_drop": self.max_auc_drop,
        }


def check_parity(
    model: Scorer, reference: Reference, *, precision: Precision, threshold: float, max_auc_drop: float = MAX_AUC_DROP
) -> ParityReport:
    """Compares an exported model with its network and accepts it if it is as good.

    Args:
        model: The exported model.
        reference: What the network says.
        precision: Tells how near the golden crops' probabilities must be.
        threshold: Probability from which a face counts as fake.
        max_auc_drop: Largest loss of AUC on the given crops.

    Raises:
        QualityError: A bound was missed, or a result is no number.
    """
    golden = compare_golden(model, reference.golden_scores, reference.golden, threshold)
    require_parity(golden, precision)
    given = None
    if reference.given is not None and reference.given_scores is not None:
        found = model.score(reference.given.crops).fake_probability
        given = compare_verdicts(
            reference.given_scores.fake_probability, found, reference.given.forged, reference.given.cluster, threshold
        )
        _require(given, max_auc_drop)
    return ParityReport(golden, given, max_auc_drop)


def _require(found: Agreement, max_auc_drop: float) -> None:
    # Written so that NaN is refused too.
    lost = 0.0 if found.auc_drop is None else found.auc_drop
    if not (np.isfinite(found.max_difference) and lost <= max_auc_drop):
        raise QualityError(
            f"exported model: loses {lost:.4f} of AUC on {found.crops} given crops, expected at most {max_auc_drop:g} "
            f"(mean difference {found.mean_difference:.3g}, {found.flipped:.1%} of verdicts flipped). Nothing was "
            "written; calibrate on more crops, keep more layers in float, or allow more with --max-auc-drop."
        )
