from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import ModelProto  # noqa: E402

from tinydf_calibration.quantize import quantizable_tensors  # noqa: E402
from tinydf_calibration.range_methods import choose_ranges  # noqa: E402
from tinydf_calibration.ranges import BINS, Observed, observe  # noqa: E402
from tinydf_calibration.sampler import LabelledCrops  # noqa: E402
from tinydf_calibration.scores import as_inputs, open_session  # noqa: E402
from tinydf_calibration.table import METHODS  # noqa: E402

Draw = Callable[[int, int], LabelledCrops]


def observed_from(values: np.ndarray) -> Observed:
    low, high = float(values.min()), float(values.max())
    counts, _ = np.histogram(values[values != 0], BINS, (low, high))
    return Observed(low, high, low, high, int((values == 0).sum()), counts)


def mean_square_error(values: np.ndarray, low: float, high: float) -> float:
    step = (high - low) / 255
    zero = round(-low / step)
    stored = np.clip(np.rint(values / step) + zero, 0, 255)
    return float((((stored - zero) * step - values) ** 2).mean())


@pytest.fixture(scope="module")
def heavy_tailed() -> np.ndarray:
    values = np.random.default_rng(0).laplace(0.3, 1.0, 200_000)
    values[::7] = 0
    values[:3] = (60.0, -30.0, 45.0)
    return values


def test_two_passes_find_what_all_crops_hold_at_once(small_network: ModelProto, draw_crops: Draw) -> None:
    crops = draw_crops(6, 1).crops
    tensors = quantizable_tensors(small_network)
    found = observe(small_network, tensors, crops)
    session = open_session(small_network, tensors)
    runs = [session.run(list(tensors), {"image": planes}) for planes in as_inputs(crops)]
    for place, name in enumerate(tensors):
        values = np.concatenate([run[place].ravel() for run in runs])
        one = found[name]
        assert (one.low, one.high) == (float(values.min()), float(values.max()))
        assert one.zeros == (values == 0).sum()
        assert one.counts.sum() + one.zeros == values.size
        assert one.counts.min() >= 0
        whole = np.histogram(values[values != 0], 16, (one.low, one.high))[0]
        assert np.abs(one.counts.reshape(16, -1).sum(1) - whole).sum() <= 0.02 * values.size
        assert one.low <= one.average_low and one.average_high <= one.high


@pytest.mark.parametrize("method", METHODS)
def test_every_range_holds_zero_and_lies_within_what_was_seen(method: str, heavy_tailed: np.ndarray) -> None:
    for values in (heavy_tailed, np.abs(heavy_tailed) + 1, -np.abs(heavy_tailed) - 1):
        low, high = choose_ranges({"x": observed_from(values)}, method)["x"]
        assert low <= 0 <= high
        assert min(values.min(), 0) - 1e-9 <= low and high <= max(values.max(), 0) + 1e-9
        assert high > low


@pytest.mark.parametrize("method", METHODS)
def test_a_tensor_of_one_value_has_a_range(method: str) -> None:
    for value in (0.0, 2.5, -1.0):
        low, high = choose_ranges({"x": observed_from(np.full(100, value))}, method)["x"]
        assert low <= min(value, 0) and max(value, 0) <= high


def test_outliers_are_clipped_by_all_methods_but_min_max(heavy_tailed: np.ndarray) -> None:
    observed = {"x": observed_from(heavy_tailed)}
    assert choose_ranges(observed, "min-max")["x"] == (-30, 60)
    for method in ("percentile", "entropy", "mse"):
        low, high = choose_ranges(observed, method)["x"]
        assert -30 < low < -3 and 3 < high < 60, method


def test_percentile_keeps_its_share(heavy_tailed: np.ndarray) -> None:
    low, high = choose_ranges({"x": observed_from(heavy_tailed)}, "percentile")["x"]
    outside = ((heavy_tailed < low) | (heavy_tailed > high)).mean()
    assert 0 < outside <= 1.1e-4


def test_mse_rounds_with_less_error_than_every_other_method(heavy_tailed: np.ndarray) -> None:
    observed = {"x": observed_from(heavy_tailed)}
    errors = {method: mean_square_error(heavy_tailed, *choose_ranges(observed, method)["x"]) for method in METHODS}
    assert min(errors, key=lambda method: errors[method]) == "mse"
    assert errors["mse"] < 0.8 * errors["min-max"]


def test_entropy_needs_more_bins_than_levels_to_clip(heavy_tailed: np.ndarray) -> None:
    assert BINS >= 4 * 256
    low, high = choose_ranges({"x": observed_from(heavy_tailed)}, "entropy")["x"]
    assert high - low < 0.9 * 90
