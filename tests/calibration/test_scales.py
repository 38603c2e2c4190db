from __future__ import annotations

import numpy as np
import pytest

from tinydf_calibration.scales import activation_scale, quantize_bias, quantize_weight, smallest_weight_scale


@pytest.mark.parametrize(("low", "high"), [(0.0, 6.0), (-3.0, 1.0), (2.0, 5.0), (-4.0, -1.0), (-1e-3, 40.0)])
def test_unsigned_scale_covers_the_range_and_holds_zero(low: float, high: float) -> None:
    found = activation_scale(low, high, unsigned=True)
    lowest = -float(found.zero_point) * float(found.scale)
    highest = (255 - float(found.zero_point)) * float(found.scale)
    step = float(found.scale)
    assert lowest <= min(low, 0) + step / 2
    assert highest >= max(high, 0) - step / 2
    assert found.zero_point.dtype == np.uint8


def test_signed_scale_is_symmetric() -> None:
    found = activation_scale(-1.0, 2.54, unsigned=False)
    assert found.scale == pytest.approx(2.54 / 127)
    assert isinstance(found.zero_point, np.int8)
    assert found.zero_point == 0


def test_a_range_of_nothing_but_zero_has_a_scale() -> None:
    assert activation_scale(0.0, 0.0, unsigned=True).scale == 1
    assert activation_scale(0.0, 0.0, unsigned=False).scale == 1


def test_weights_are_off_by_half_a_step_at_most_channel_by_channel() -> None:
    weight = np.random.default_rng(0).normal(0, 1, (4, 3, 3, 3)).astype(np.float32)
    weight *= np.array([1e-3, 1, 100, 0], np.float32)[:, None, None, None]
    stored, scales = quantize_weight(weight)
    assert stored.dtype == np.int8
    assert stored.min() >= -127
    error = np.abs(stored * scales[:, None, None, None] - weight)
    assert (error <= 0.5001 * scales[:, None, None, None]).all()
    assert not stored[3].any()


def test_a_large_bias_widens_the_weights_scale_until_it_fits() -> None:
    weight, bias = np.full((1, 1, 1, 1), 1e-6, np.float32), np.array([50.0], np.float32)
    input_scale = np.float32(1e-4)
    _, scales = quantize_weight(weight, smallest_weight_scale(bias, input_scale))
    units = (scales * input_scale).astype(np.float32)
    assert quantize_bias(bias, units) * units.astype(np.float64) == pytest.approx(50.0, rel=1e-6)
