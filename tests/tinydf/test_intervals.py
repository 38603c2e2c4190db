import numpy as np
import pytest

from tinydf.intervals import draw_counts, newcombe_auc, wilson


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
