import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics as reference

from tinydf.intervals import draw_counts, newcombe_auc, wilson
from tinydf.metrics import (
    METRICS,
    Estimate,
    auc,
    auc_with_interval,
    fit_temperature,
    measure,
    reliability,
    threshold_at_fpr,
)

Sample = tuple[NDArray[np.float64], NDArray[np.bool_]]


def draw_sample(seed: int, count: int = 400, steps: int | None = None) -> Sample:
    """Two overlapping Gaussians as logits, a third of them forged; with ``steps``, rounded so that many are equal."""
    rng = np.random.default_rng(seed)
    forged = rng.random(count) < 1 / 3
    logit = rng.normal(0, 1, count) + np.where(forged, 1.2, -0.4)
    return (logit if steps is None else np.round(logit * steps) / steps), forged


def values_of(sample: Sample, threshold: float = 0.5) -> dict[str, float]:
    logit, forged = sample
    found = measure(logit, forged, np.arange(len(logit)), threshold, draws=2)
    return {name: estimate.value for name, estimate in found.items() if estimate is not None}


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


@pytest.mark.parametrize("steps", [None, 2, 1])
def test_ranking_metrics_equal_those_of_scikit_learn_with_and_without_ties(steps: int | None) -> None:
    logit, forged = sample = draw_sample(1, steps=steps)
    found = values_of(sample)
    fpr, tpr, _ = reference.roc_curve(forged, logit, drop_intermediate=False)
    assert found["auc"] == pytest.approx(reference.roc_auc_score(forged, logit))
    assert found["average_precision"] == pytest.approx(reference.average_precision_score(forged, logit))
    for share in (10, 5, 1):
        assert found[f"tpr_at_fpr_{share}"] == pytest.approx(tpr[fpr <= share / 100].max())


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.93])
def test_rates_at_the_threshold_equal_those_of_the_confusion_matrix(threshold: float) -> None:
    logit, forged = sample = draw_sample(2, steps=3)
    passed = 1 / (1 + np.exp(-logit)) >= threshold
    found = values_of(sample, threshold)
    assert found["accuracy"] == pytest.approx(reference.accuracy_score(forged, passed))
    assert found["apcer"] == pytest.approx(1 - reference.recall_score(forged, passed))
    assert found["bpcer"] == pytest.approx(1 - reference.recall_score(~forged, ~passed))


def test_a_score_on_the_threshold_counts_as_fake() -> None:
    found = values_of((np.zeros(4), np.array((False, False, True, True))), 0.5)
    assert (found["apcer"], found["bpcer"]) == (0, 1)


def test_equal_error_rate_of_two_gaussians_is_the_tail_between_them() -> None:
    # At the middle of two unit Gaussians 2 apart each side errs by the normal tail beyond 1.
    rng = np.random.default_rng(3)
    logit = np.concatenate((rng.normal(-1, 1, 40000), rng.normal(1, 1, 40000)))
    assert values_of((logit, np.arange(80000) >= 40000))["eer"] == pytest.approx(0.158655, abs=0.004)


def test_equal_error_rate_lies_on_the_straight_line_through_a_tie() -> None:
    # All scores are equal: the curve is the diagonal, which crosses "as many misses as false alarms" in its middle.
    assert values_of((np.zeros(6), np.arange(6) >= 3))["eer"] == 0.5
    # The curve has a corner at FPR 1/4, TPR 3/4, where both errors are a quarter.
    sample = np.array((0, 1, 2, 4, 3, 5, 6, 7.0)), np.arange(8) >= 4
    assert values_of(sample)["eer"] == pytest.approx(0.25)


def test_calibration_error_is_the_distance_of_probability_and_share_where_all_share_one_bin() -> None:
    # Every probability is .6 and each class weighs one half, however many there are of it.
    logit, forged = np.full(10, np.log(0.6 / 0.4)), np.arange(10) >= 3
    assert values_of((logit, forged))["ece"] == pytest.approx(0.1)


def test_calibration_error_is_what_the_bins_say() -> None:
    logit, forged = sample = draw_sample(4)
    probability = 1 / (1 + np.exp(-logit))
    weight = np.where(forged, 0.5 / forged.sum(), 0.5 / (~forged).sum())
    error = 0.0
    for k in range(15):
        inside = (probability >= k / 15) & (probability < (k + 1) / 15)
        error += abs((weight * (forged - probability))[inside].sum())
    mass, share, mean = reliability(logit, forged)
    assert values_of(sample)["ece"] == pytest.approx(error)
    assert mass.sum() == pytest.approx(1)
    assert (mass * np.abs(share - mean)).sum() == pytest.approx(error)


def test_probabilities_that_are_true_have_almost_no_calibration_error() -> None:
    rng = np.random.default_rng(5)
    # The logit of two unit Gaussians at -1 and 1, seen equally often, is twice the value.
    value = np.concatenate((rng.normal(-1, 1, 30000), rng.normal(1, 1, 30000)))
    assert values_of((2 * value, np.arange(60000) >= 30000))["ece"] < 0.01


def test_auc_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    truth, covered = 0.760250, 0  # Phi(1 / sqrt 2) for unit Gaussians 1 apart.
    for seed in range(60):
        rng = np.random.default_rng(seed)
        logit = np.concatenate((rng.normal(0, 1, 60), rng.normal(1, 1, 60)))
        found = measure(logit, np.arange(120) >= 60, np.arange(120), 0.5, draws=200)["auc"]
        assert found is not None
        covered += found.low <= truth <= found.high
    assert covered >= 52


def test_frames_of_one_video_count_once() -> None:
    logit, forged = draw_sample(6, 60)
    alone = measure(logit, forged, np.arange(60), 0.5)
    repeated = measure(np.repeat(logit, 20), np.repeat(forged, 20), np.repeat(np.arange(60), 20), 0.5)
    assert repeated["auc"] == alone["auc"]
    independent = measure(np.repeat(logit, 20), np.repeat(forged, 20), np.arange(1200), 0.5)
    assert width(independent["auc"]) < width(alone["auc"]) / 3


def test_a_pair_is_resampled_together() -> None:
    # Each forgery is a little above its own original: without the pairing the order is a matter of chance.
    rng = np.random.default_rng(7)
    level = rng.normal(0, 3, 200)
    logit, forged = np.concatenate((level, level + 0.5)), np.arange(400) >= 200
    together = measure(logit, forged, np.tile(np.arange(200), 2), 0.5)["auc"]
    apart = measure(logit, forged, np.arange(400), 0.5)["auc"]
    assert width(together) < width(apart) / 3


def test_few_videos_without_an_error_do_not_make_certainty() -> None:
    found = measure(np.array((-2, -1, -3, 2, 1, 3.0)), np.arange(6) >= 3, np.arange(6), 0.5)
    area, missed = found["auc"], found["apcer"]
    assert area is not None and missed is not None
    assert area.value == 1 and area.low < 0.6
    assert missed.value == 0 and missed.high > 0.5


@pytest.mark.parametrize(("forged", "known"), [(False, "bpcer"), (True, "apcer")])
def test_one_class_alone_has_its_own_error_rate_and_nothing_else(forged: bool, known: str) -> None:
    found = measure(np.array((-1, 2, 3, 4.0)), np.full(4, forged), np.arange(4), 0.5)
    assert [name for name in METRICS if found[name] is not None] == [known]
    estimate = found[known]
    assert estimate is not None and estimate.value == (0.25 if forged else 0.75)


def test_nothing_has_no_figures() -> None:
    found = measure(np.empty(0), np.empty(0, bool), np.empty(0, np.intp), 0.5)
    assert list(found.values()) == [None] * len(METRICS)


def test_same_seed_gives_the_same_interval() -> None:
    logit, forged = draw_sample(8)
    assert measure(logit, forged, np.arange(400), 0.5, 3) == measure(logit, forged, np.arange(400), 0.5, 3)


def width(estimate: Estimate | None) -> float:
    assert estimate is not None
    return estimate.high - estimate.low


def test_resampling_keeps_the_number_of_each_kind_of_cluster() -> None:
    # Clusters 0 to 3 are real, 4 and 5 forged, 6 holds both.
    cluster = np.array((0, 0, 1, 2, 3, 4, 5, 5, 6, 6))
    forged = np.array((0, 0, 0, 0, 0, 1, 1, 1, 0, 1), bool)
    counts = draw_counts(cluster, forged, 7, 200, np.random.default_rng(0))
    assert (counts[:, :4].sum(axis=1) == 4).all()
    assert (counts[:, 4:6].sum(axis=1) == 2).all()
    assert (counts[:, 6] == 1).all()
    assert counts.mean(axis=0)[:4] == pytest.approx(1, abs=0.2)


def test_wilson_interval_of_all_right_leaves_room_for_errors() -> None:
    # With every trial a success the bounds are n / (n + z^2) and 1.
    low, high = wilson(1.0, 10)
    assert (low, high) == pytest.approx((10 / (10 + 1.959964**2), 1))


def test_wilson_interval_is_mirrored_for_the_complement() -> None:
    low, high = wilson(0.3, 25)
    assert wilson(0.7, 25) == pytest.approx((1 - high, 1 - low))


def test_auc_interval_ends_where_the_value_is_z_standard_errors_away() -> None:
    value, reals, fakes = 0.8, 12, 20
    for bound in newcombe_auc(value, reals, fakes):
        spread = 1 + (16 - 1) * ((1 - bound) / (2 - bound) + bound / (1 + bound))
        error = np.sqrt(bound * (1 - bound) * spread / (reals * fakes))
        assert abs(bound - value) == pytest.approx(1.959964 * error)


@pytest.mark.parametrize(("value", "end"), [(1.0, 1), (0.0, 0)])
def test_auc_interval_of_three_against_three_is_wide_and_stays_inside(value: float, end: int) -> None:
    interval = newcombe_auc(value, 3, 3)
    assert interval[end] == pytest.approx(value, abs=1e-6)
    assert interval[1] - interval[0] > 0.4
