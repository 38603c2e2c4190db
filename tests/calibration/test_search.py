from __future__ import annotations

import pytest

from tinydf_calibration.search import find_float_groups, order_by_noise
from tinydf_calibration.sensitivity import GroupSensitivity


def group(name: str, signal_to_noise_db: float) -> GroupSensitivity:
    return GroupSensitivity(name, (name,), (1, 1, 1, 1), signal_to_noise_db, 0.0, 1.0, 0.5)


GROUPS = order_by_noise([group(f"u{number:02}", float(number * 7 % 20)) for number in range(20)])
"""u00 is the noisiest, then u03, u06."""


class Bound:
    """Accepts what keeps the noise of the layers in 8 bit below a bound; counts how often it is asked."""

    def __init__(self, noise: dict[str, float], bound: float) -> None:
        self.noise, self.bound, self.asked = noise, bound, 0

    def __call__(self, kept: tuple[str, ...]) -> bool:
        self.asked += 1
        return sum(value for name, value in self.noise.items() if name not in kept) <= self.bound


def noise_of(groups: tuple[GroupSensitivity, ...]) -> dict[str, float]:
    return {one.name: 10 ** (-one.signal_to_noise_db / 10) for one in groups}


def test_the_noisiest_comes_first() -> None:
    levels = [one.signal_to_noise_db for one in GROUPS]
    assert levels == sorted(levels)
    assert [one.name for one in GROUPS[:3]] == ["u00", "u03", "u06"]


def test_nothing_stays_in_float_where_nothing_needs_to() -> None:
    accepts = Bound(noise_of(GROUPS), 100)
    assert find_float_groups(GROUPS, accepts) == ()
    assert accepts.asked == 1


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 13, 19])
def test_as_few_as_the_bound_allows_stay_in_float(count: int) -> None:
    noise = noise_of(GROUPS)
    rest = sum(noise[one.name] for one in GROUPS[count:])
    accepts = Bound(noise, rest * 1.0001)
    kept = find_float_groups(GROUPS, accepts)
    assert accepts(kept)
    assert len(kept) == count
    assert accepts.asked < 30


def test_everything_stays_in_float_where_nothing_less_will_do() -> None:
    assert set(find_float_groups(GROUPS, lambda kept: len(kept) == len(GROUPS))) == {one.name for one in GROUPS}


def test_layers_that_only_seemed_to_need_float_go_back() -> None:
    # The sixth alone is at fault, so the five that are noisier by themselves need no float.
    culprit = GROUPS[5].name
    assert find_float_groups(GROUPS, lambda kept: culprit in kept) == (culprit,)
