import numpy as np
import pytest

from tinydf.metrics import auc, auc_with_interval, fit_temperature, threshold_at_fpr


def test_auc_is_the_share_of_pairs_in_order() -> None:
    assert auc(np.array((0.1, 0.4)), np.array((0.35, 0.8))) == 0.75


def test_a_tie_counts_half() -> None:
    assert auc(np.zeros(3), np.zeros(3)) == 0.5


def test_interval_covers_the_estimate_and_narrows_with_more_faces() -> None:
    rng = np.random.default_rng(0)
    widths = []
    for count in (50, 800):
        estimate = auc_with_interval(rng.normal(0, 1, count), rng.normal(1, 1, count))
        assert estimate.low < estimate.value < estimate.high
        widths.append(estimate.high - estimate.low)
    # Four times the width for a sixteenth of the faces.
    assert widths[0] / widths[1] == pytest.approx(4, rel=0.4)


def test_temperature_undoes_a_stretch_of_the_logits() -> None:
    rng = np.random.default_rng(0)
    # Two unit Gaussians at -1 and 1: their true logit is twice the value.
    real, fake = rng.normal(-1, 1, 20000), rng.normal(1, 1, 20000)
    assert fit_temperature(6 * real, 6 * fake) == pytest.approx(3, rel=0.05)


def test_threshold_lets_the_asked_share_of_real_faces_through() -> None:
    scores = np.arange(1000.0)
    assert (scores >= threshold_at_fpr(scores, 0.1)).mean() == pytest.approx(0.1, abs=0.002)
