from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tinydf_export.parity.differences import Parity, compare, require
from tinydf_runtime.engines.engine import open_engine
from tinydf_runtime.errors import QualityError
from tinydf_runtime.types import Scores

CROPS = np.stack([np.full((224, 224, 3), value, np.uint8) for value in (10, 90, 127, 129, 200, 250)])


@pytest.fixture
def honest(make_classifier: Callable[..., Path]) -> Scores:
    return open_engine(make_classifier()).score(CROPS)


def test_engine_equals_itself(make_classifier: Callable[..., Path], honest: Scores) -> None:
    found = compare(open_engine(make_classifier()), honest, CROPS, 0.5)
    assert (found.crops, found.flipped) == (6, 0)
    assert found.max_difference < 1e-6
    require(found, "fp32")


def test_flipped_verdicts_and_differences_are_counted(make_classifier: Callable[..., Path], honest: Scores) -> None:
    # 127 and 129 of 255 lie on either side of the threshold; 0.01 takes the first across.
    moved = replace(honest, fake_probability=honest.fake_probability + np.float32(0.01))
    found = compare(open_engine(make_classifier()), moved, CROPS, 0.5)
    assert found.flipped == 1
    assert found.max_difference == pytest.approx(0.01, abs=1e-4)
    assert found.mean_difference == pytest.approx(0.01, abs=1e-4)


def test_difference_in_the_map_counts(make_classifier: Callable[..., Path], honest: Scores) -> None:
    maps = honest.forgery_map.copy()
    maps[3, 2, 5] += 0.25
    found = compare(open_engine(make_classifier()), replace(honest, forgery_map=maps), CROPS, 0.5)
    assert found.max_map_difference == pytest.approx(0.25, abs=1e-4)


@pytest.mark.parametrize(
    ("probability", "forgery_map"), [(2e-4, 0.0), (0.0, 2e-3), (float("nan"), 0.0), (0.0, float("nan"))]
)
def test_more_than_the_bound_or_no_number_is_refused(probability: float, forgery_map: float) -> None:
    with pytest.raises(QualityError):
        require(Parity(5, probability, probability, forgery_map, 0), "fp32")


def test_lower_precisions_may_differ_more() -> None:
    require(Parity(5, 0.005, 0.005, 0.05, 0), "fp16")
    require(Parity(5, 0.05, 0.05, 0.3, 1), "int8")
    with pytest.raises(QualityError, match="higher precision"):
        require(Parity(5, 0.05, 0.05, 0.05, 0), "fp16")
