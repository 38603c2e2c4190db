from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tinydf_calibration.sampler import LabelledCrops
from tinydf_export.parity.report import Parity, Reference, check_parity, compare_golden, require_parity
from tinydf_runtime.engines.loading import open_engine
from tinydf_runtime.errors import QualityError
from tinydf_runtime.types import Scores

COUNT = 40


def flat(values: NDArray[np.int64]) -> NDArray[np.uint8]:
    return np.broadcast_to(values.astype(np.uint8)[:, None, None, None], (len(values), 224, 224, 3)).copy()


@dataclass(frozen=True, slots=True)
class Shifted:
    """An engine whose probabilities are moved by something."""

    honest: Callable[[NDArray[np.uint8]], Scores]
    move: Callable[[NDArray[np.float32]], NDArray[np.float32]]

    def score(self, crops: NDArray[np.uint8]) -> Scores:
        scores = self.honest(crops)
        return replace(scores, fake_probability=self.move(scores.fake_probability))


@pytest.fixture
def honest(make_classifier: Callable[..., Path]) -> Callable[[NDArray[np.uint8]], Scores]:
    return open_engine(make_classifier(), threads=1).score


@pytest.fixture
def reference(honest: Callable[[NDArray[np.uint8]], Scores]) -> Reference:
    """The brighter a crop the more the classifier thinks it forged, and the forged half is brighter."""
    golden, crops = flat(np.array([20, 120, 240])), flat(np.linspace(10, 250, COUNT).astype(np.int64))
    names = np.full(COUNT, "")
    given = LabelledCrops(
        crops, np.arange(COUNT) >= COUNT // 2, np.arange(COUNT), names, names, names, *[np.ones(COUNT)] * 3
    )
    return Reference(golden, honest(golden), given, honest(crops))


def test_a_model_that_is_its_network_loses_nothing(
    honest: Callable[[NDArray[np.uint8]], Scores], reference: Reference
) -> None:
    report = check_parity(Shifted(honest, lambda p: p), reference, precision="fp32", threshold=0.5)
    assert report.golden.max_difference < 1e-6
    assert report.given is not None
    assert (report.given.auc, report.given.auc_drop, report.given.flipped) == (1.0, 0.0, 0.0)
    assert json.loads(json.dumps(report.to_dict()))["given"]["crops"] == COUNT


def test_loss_of_auc_beyond_the_bound_is_refused_and_within_it_is_told(
    honest: Callable[[NDArray[np.uint8]], Scores], reference: Reference
) -> None:
    # Those just above the middle fall below those just under it: 0.56 becomes 0.44.
    swapped = Shifted(honest, lambda p: np.where(np.abs(p - 0.5) < 0.06, 1 - p, p).astype(np.float32))
    with pytest.raises(QualityError, match="of AUC on 40 given crops"):
        check_parity(swapped, reference, precision="int8", threshold=0.5)
    report = check_parity(swapped, reference, precision="int8", threshold=0.5, max_auc_drop=0.2)
    assert report.given is not None and report.given.auc_drop is not None
    assert report.given.auc_drop_low is not None and report.given.auc_drop_high is not None
    assert report.given.auc_drop_low <= report.given.auc_drop <= report.given.auc_drop_high
    assert 0.005 < report.given.auc_drop < 0.2
    assert report.given.flipped > 0.1


def test_a_given_crop_without_a_number_is_refused(
    honest: Callable[[NDArray[np.uint8]], Scores], reference: Reference
) -> None:
    broken = Shifted(honest, lambda p: np.where((p > 0.3) & (p < 0.35), np.nan, p).astype(np.float32))
    with pytest.raises(QualityError):
        check_parity(broken, reference, precision="int8", threshold=0.5, max_auc_drop=1.0)


def test_without_given_crops_only_golden_ones_count(
    honest: Callable[[NDArray[np.uint8]], Scores], reference: Reference
) -> None:
    alone = replace(reference, given=None, given_scores=None)
    assert check_parity(Shifted(honest, lambda p: p), alone, precision="fp32", threshold=0.5).given is None
    with pytest.raises(QualityError, match="differs from its checkpoint"):
        check_parity(Shifted(honest, lambda p: p + np.float32(0.02)), alone, precision="fp16", threshold=0.5)


CROPS = np.stack([np.full((224, 224, 3), value, np.uint8) for value in (10, 90, 127, 129, 200, 250)])


@pytest.fixture
def scores(make_classifier: Callable[..., Path]) -> Scores:
    return open_engine(make_classifier()).score(CROPS)


def test_engine_equals_itself(make_classifier: Callable[..., Path], scores: Scores) -> None:
    found = compare_golden(open_engine(make_classifier()), scores, CROPS, 0.5)
    assert (found.crops, found.flipped) == (6, 0)
    assert found.max_difference < 1e-6
    require_parity(found, "fp32")


def test_flipped_verdicts_and_differences_are_counted(make_classifier: Callable[..., Path], scores: Scores) -> None:
    # 127 and 129 of 255 lie on either side of the threshold; 0.01 takes the first across.
    moved = replace(scores, fake_probability=scores.fake_probability + np.float32(0.01))
    found = compare_golden(open_engine(make_classifier()), moved, CROPS, 0.5)
    assert found.flipped == 1
    assert found.max_difference == pytest.approx(0.01, abs=1e-4)
    assert found.mean_difference == pytest.approx(0.01, abs=1e-4)


def test_difference_in_the_map_counts(make_classifier: Callable[..., Path], scores: Scores) -> None:
    maps = scores.forgery_map.copy()
    maps[3, 2, 5] += 0.25
    found = compare_golden(open_engine(make_classifier()), replace(scores, forgery_map=maps), CROPS, 0.5)
    assert found.max_map_difference == pytest.approx(0.25, abs=1e-4)


@pytest.mark.parametrize(
    ("probability", "forgery_map"), [(2e-4, 0.0), (0.0, 2e-3), (float("nan"), 0.0), (0.0, float("nan"))]
)
def test_more_than_the_bound_or_no_number_is_refused(probability: float, forgery_map: float) -> None:
    with pytest.raises(QualityError):
        require_parity(Parity(5, probability, probability, forgery_map, 0), "fp32")


def test_lower_precisions_may_differ_more() -> None:
    require_parity(Parity(5, 0.005, 0.005, 0.05, 0), "fp16")
    require_parity(Parity(5, 0.05, 0.05, 0.3, 1), "int8")
    with pytest.raises(QualityError, match="higher precision"):
        require_parity(Parity(5, 0.05, 0.05, 0.05, 0), "fp16")
