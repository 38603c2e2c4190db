"""How rare a score is among real people, and the margin that `fake` needs above the threshold."""

from __future__ import annotations

import numpy as np
import pytest

from tinydf_runtime.errors import ModelFileError
from tinydf_runtime.models.spec import ModelSpec
from tinydf_runtime.verdict.evidence import HIGHEST_LOGIT, to_probability
from tinydf_runtime.verdict.rules import ALLOWED_FALSE_ALARMS, BAND, DecisionRule, RealScores

PEOPLE = np.random.default_rng(0).standard_normal(400)
MEASURED = RealScores.of_logits(PEOPLE.tolist())


def test_the_table_is_small_and_keeps_the_highest_one_by_one() -> None:
    assert len(MEASURED.ranks) < 60
    assert [place for place, _ in MEASURED.ranks[:10]] == list(range(1, 11))
    assert MEASURED.ranks[0][1] == pytest.approx(PEOPLE.max(), abs=1e-4)
    assert MEASURED.ranks[-1] == (400, round(float(PEOPLE.min()), 4))


@pytest.mark.parametrize("logit", [-4.0, -1.0, 0.0, 1.0, 1.7, 2.2, 9.0])
def test_a_share_is_the_measured_one_or_hardly_more(logit: float) -> None:
    true = float((logit <= PEOPLE).mean())
    found = MEASURED.rarity(logit)
    assert true <= found.share <= 1.11 * true + 1e-9
    assert found.low <= found.share <= found.high and found.people == 400


def test_the_interval_is_wilsons() -> None:
    # 10 of 100: 5.5 % to 17.4 % (Wilson, 1927).
    found = RealScores.of_logits([1.0] * 10 + [-1.0] * 90).rarity(0.5)
    assert [found.share, found.low, found.high] == pytest.approx([0.1, 0.0552, 0.1744], abs=1e-4)
    nobody = RealScores.of_logits([-1.0] * 100).rarity(0.5)
    assert (nobody.share, nobody.low) == (0.0, 0.0) and nobody.high == pytest.approx(0.037, abs=1e-3)


@pytest.mark.parametrize("share", [0.3, 0.1, 0.03, 0.01])
def test_so_few_other_people_reach_the_score_whatever_they_are_distributed_like(share: float) -> None:
    rng = np.random.default_rng(1)
    reached = 0
    for _ in range(400):
        # Two groups of people, one far above the other: nothing that a curve would be fitted to.
        high = rng.random(101) < 0.05
        people = rng.standard_normal(101) + 4 * high
        reached += people[0] >= RealScores.of_logits(people[1:].tolist()).logit_reached_by(share)
    # Four standard errors of 400 trials above what is promised.
    assert reached / 400 <= share + 4 * (share * (1 - share) / 400) ** 0.5


def test_the_margin_grows_with_the_people() -> None:
    margins = [DecisionRule(0.6).margin(people) for people in (0, 1, 2, 10, 30, 1000)]
    assert margins[0] == margins[1] > 0
    assert margins == sorted(margins)


def test_a_stricter_threshold_asks_for_less_above_it() -> None:
    usual, strict, lax = DecisionRule(0.63), DecisionRule(0.9, 0.63), DecisionRule(0.3, 0.63)
    # What must be passed in all stays, as long as the threshold lies below it.
    assert strict.fake_threshold(30) == pytest.approx(usual.fake_threshold(30), abs=1e-5)
    assert strict.margin(1) == BAND
    assert lax.margin(1) == usual.margin(1)


def test_a_crowd_of_real_people_is_rarely_called_fake_though_its_bar_is_a_guess() -> None:
    rng = np.random.default_rng(2)
    alarms = 0
    for _ in range(300):
        # The tail of a logistic falls as slowly as the bar assumes.
        people = rng.logistic(size=196 + 64)
        bar = DecisionRule(0.7, 0.7, RealScores.of_logits(people[64:].tolist())).fake_threshold(64)
        alarms += to_probability(min(HIGHEST_LOGIT, people[:64].max())) >= bar
    # Half more than is promised for people among those measured, as for synthetic clips.
    assert alarms / 300 <= 1.5 * ALLOWED_FALSE_ALARMS


def test_beyond_the_highest_of_all_the_score_rises_on() -> None:
    bars = [MEASURED.logit_reached_by(share) for share in (0.1, 0.01, 0.001, 0.0001)]
    assert bars == sorted(bars)
    assert bars[2] > MEASURED.ranks[0][1] > bars[1]


def test_another_temperature_moves_scores_and_no_share() -> None:
    assert MEASURED.rescaled(0.5).rarity(0.6).share == MEASURED.rarity(1.2).share


def test_a_spec_carries_the_tables_and_an_older_one_has_none() -> None:
    spec = ModelSpec("a", real_people=MEASURED, real_pictures=RealScores.of_logits([0.0]))
    assert ModelSpec.from_json(spec.to_json(), "a.onnx") == spec
    older = ModelSpec("a").to_json().replace('"real_people": null, ', "").replace('"real_pictures": null, ', "")
    assert ModelSpec.from_json(older, "a.onnx").real_people is None
    with pytest.raises(ModelFileError):
        ModelSpec.from_json(spec.to_json().replace('"people": 400', '"people": "many"'), "a.onnx")
