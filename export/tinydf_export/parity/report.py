"""Exported model + reference scores -> parity report: differences on golden crops, loss of AUC on labelled crops."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydf_calibration.agreement import MAX_AUC_DROP, Agreement
from tinydf_calibration.agreement import compare as compare_verdicts
from tinydf_calibration.sampler import LabelledCrops
from tinydf_export.parity import differences
from tinydf_export.parity.differences import Parity, Scorer
from tinydf_runtime.errors import QualityError
from tinydf_runtime.models.spec import Precision
from tinydf_runtime.types import Scores

__all__ = ["MAX_AUC_DROP", "ParityReport", "Reference", "check_parity"]


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
        """Returns the figures as the model's metadata has them."""
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
    golden = differences.compare(model, reference.golden_scores, reference.golden, threshold)
    differences.require(golden, precision)
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
