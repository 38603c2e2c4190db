from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinydf.evaluation.faces import open_faces
from tinydf.evaluation.perturbations import UNCHANGED
from tinydf.evaluation.scores import ScoredFaces, score_faces
from tinydf.evaluation.scoring import Scorer
from tinydf.evaluation.videos import judge_videos
from tinydf_runtime.models.spec import ModelSpec
from tinydf_runtime.results import FaceScore
from tinydf_runtime.verdict.aggregate import judge_track
from tinydf_runtime.verdict.rules import DecisionRule

Scored = Callable[..., ScoredFaces]
SPEC = ModelSpec("green")


@pytest.fixture
def scored(write_set: Callable[..., Path], scorer: Scorer) -> Scored:
    def score(*videos: object) -> ScoredFaces:
        faces = open_faces(write_set(videos), "test", scorer.spec.crop)
        return score_faces(faces, scorer, (UNCHANGED,))[0]

    return score


def test_a_video_gets_the_runtimes_own_probability(scored: Scored, flat: Callable[..., Any]) -> None:
    greens = (100, 110, 160, 170, 165, 168, 90, 95)
    found = judge_videos(scored(flat("Swap", "a", greens), flat("real", "b", (1,))), SPEC).logit
    scores = [FaceScore(float(i), i, (30, 30, 90, 90), 0.9, green / 255) for i, green in enumerate(greens)]
    assert 1 / (1 + np.exp(-found[0])) == pytest.approx(
        judge_track(0, scores, DecisionRule(0.5))[0].fake_probability, abs=1e-4
    )


def test_the_worst_person_decides(scored: Scored, flat: Callable[..., Any]) -> None:
    both = (flat("Swap", "a", (50, 50, 50)), flat("Swap", "a", (200, 200, 200), track=1), flat("real", "b", (1,)))
    assert 1 / (1 + np.exp(-judge_videos(scored(*both), SPEC).logit[0])) == pytest.approx(200 / 255, abs=1e-3)


def test_a_single_picture_is_enough_where_the_table_has_no_more(scored: Scored, flat: Callable[..., Any]) -> None:
    found = judge_videos(scored(flat("Swap", "a", (200,)), flat("real", "b", (50,))), SPEC).logit
    assert (found > 0).tolist() == [True, False]


def test_a_passer_by_does_not_outweigh_the_person_who_stays(scored: Scored, flat: Callable[..., Any]) -> None:
    stays, passes = flat("real", "a", (50,) * 6), flat("real", "a", (250,), track=1)
    assert judge_videos(scored(stays, passes, flat("Swap", "b", (200,))), SPEC).logit[0] < 0


@pytest.mark.parametrize("thin", [{"side_px": 30}, {"detection_score": 0.4}])
def test_small_and_doubtful_faces_get_no_score(scored: Scored, flat: Callable[..., Any], thin: dict[str, Any]) -> None:
    found = judge_videos(scored(flat("Swap", "a", (200, 200), **thin), flat("real", "b", (50,))), SPEC)
    assert np.isnan(found.logit).tolist() == [True, False]
    assert found.label == ("inconclusive", "real")
