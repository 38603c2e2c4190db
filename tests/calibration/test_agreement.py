from __future__ import annotations

import numpy as np
import pytest

from tinydf_calibration.agreement import Bounds, auc, compare

FORGED = np.tile([False, True], 30)
CLUSTER = np.arange(60) // 2
BEFORE = np.where(FORGED, 0.8, 0.2) + np.linspace(-0.15, 0.15, 60)


def test_a_model_agrees_with_itself() -> None:
    found = compare(BEFORE, BEFORE, FORGED, CLUSTER, 0.5)
    assert (found.mean_difference, found.max_difference, found.flipped, found.auc_drop) == (0, 0, 0, 0)
    assert (found.auc_drop_low, found.auc_drop_high) == (0, 0)
    assert found.keeps_to(Bounds(0, 0, 0))


def test_differences_flips_and_lost_auc_are_counted() -> None:
    after = BEFORE.copy()
    after[:2] = after[:2][::-1]
    found = compare(BEFORE, after, FORGED, CLUSTER, 0.5)
    assert found.flipped == pytest.approx(2 / 60)
    assert found.max_difference == pytest.approx(abs(BEFORE[0] - BEFORE[1]))
    assert found.mean_difference == pytest.approx(2 * abs(BEFORE[0] - BEFORE[1]) / 60)
    # One real crop now lies above all forged ones but those above it, and one forged crop below the real ones.
    assert found.auc_before == 1
    assert found.auc_drop is not None and found.auc_drop_low is not None and found.auc_drop_high is not None
    assert found.auc_drop_low <= found.auc_drop <= found.auc_drop_high
    assert found.auc_drop > 0
    assert not found.keeps_to(Bounds())


def test_auc_counts_ties_half_and_needs_both_classes() -> None:
    assert auc(np.array([0.1, 0.5, 0.5, 0.9]), np.array([False, True, False, True])) == 0.875
    assert auc(np.array([0.1, 0.5]), np.array([True, True])) is None


def test_one_class_alone_has_differences_but_no_auc() -> None:
    found = compare(BEFORE, BEFORE, np.zeros(60, bool), CLUSTER, 0.5)
    assert found.auc is None and found.auc_drop is None
    assert found.keeps_to(Bounds())


def test_no_number_is_never_within_bounds() -> None:
    after = BEFORE.copy()
    after[3] = np.nan
    found = compare(BEFORE, after, FORGED, CLUSTER, 0.5)
    assert found.flipped == pytest.approx(1 / 60)
    assert not found.keeps_to(Bounds(1, 1, 1))
