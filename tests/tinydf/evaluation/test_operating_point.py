from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tinydf.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from tinydf.evaluation.faces import open_faces
from tinydf.evaluation.operating_point import (
    OperatingPoint,
    fit_operating_point,
    store_operating_point,
    tabulate_fpr,
)
from tinydf.evaluation.perturbations import UNCHANGED
from tinydf.evaluation.scores import ScoredFaces, score_faces
from tinydf.evaluation.scoring import Scorer
from tinydf.evaluation.videos import judge_videos
from tinydf.forgery import TinyDF
from tinydf_runtime.errors import UnknownFormatError, UsageError
from tinydf_runtime.models.spec import ModelSpec

POINT = OperatingPoint(
    temperature=1.7, threshold=0.61, fpr=0.1, found_fpr=0.1, real_videos=20, fpr_thresholds=((0.1, 0.7),)
)


@pytest.fixture(scope="module")
def validation(write_set: Callable[..., Path], flat: Callable[..., Any], scorer: Scorer) -> ScoredFaces:
    """Twenty real videos of greens 20, 25 ... and ten fakes among the higher of them."""
    videos = [
        *(flat("real", f"{i}", (20 + 5 * i,) * 2, split="val") for i in range(20)),
        *(flat("Swap", f"{i}", (92 + 10 * i,) * 2, split="val") for i in range(10)),
    ]
    return score_faces(open_faces(write_set(videos), "val", scorer.spec.crop), scorer, (UNCHANGED,))[0]


@pytest.mark.parametrize("fpr", [0.1, 0.25, 0.5])
def test_threshold_lets_just_the_asked_share_of_real_videos_through(validation: ScoredFaces, fpr: float) -> None:
    point = fit_operating_point([validation], ModelSpec("tiny"), fpr)
    judged = judge_videos(
        validation.rescaled(1 / point.temperature), ModelSpec("tiny", threshold=point.threshold)
    ).logit[:20]
    assert (judged >= np.log(point.threshold / (1 - point.threshold))).mean() == fpr
    assert (point.found_fpr, point.real_videos) == (fpr, 20)
    assert point.threshold == round(point.threshold, 4)


def test_shares_of_single_real_faces_rise_and_each_is_reached_by_no_more() -> None:
    real = np.random.default_rng(0).uniform(size=400)
    table = tabulate_fpr(real)
    assert [share for share, _ in table] == [0.05, 0.1, 0.2, 0.3]
    assert all(0 < (real >= threshold).mean() <= share for share, threshold in table)
    assert [threshold for _, threshold in table] == sorted((threshold for _, threshold in table), reverse=True)


def test_fewer_than_one_real_video_means_none(validation: ScoredFaces) -> None:
    assert fit_operating_point([validation], ModelSpec("tiny"), 0.01).found_fpr == 0


def test_temperature_builds_on_the_one_that_the_scores_have_already(validation: ScoredFaces) -> None:
    # The same network, once scored with its own logits and once with logits halved by a temperature of 2.
    plain = fit_operating_point([validation], ModelSpec("tiny", temperature=1.0), 0.1)
    halved = fit_operating_point([validation.rescaled(0.5)], ModelSpec("tiny", temperature=2.0), 0.1)
    assert halved.temperature == pytest.approx(plain.temperature, rel=0.02)
    assert halved.threshold == pytest.approx(plain.threshold, abs=0.01)


def test_several_sets_are_fitted_as_one(validation: ScoredFaces) -> None:
    once = fit_operating_point([validation], ModelSpec("tiny"), 0.25)
    twice = fit_operating_point([validation, validation], ModelSpec("tiny"), 0.25)
    assert (twice.temperature, twice.threshold) == (once.temperature, once.threshold)
    assert twice.real_videos == 2 * once.real_videos


def test_one_class_alone_cannot_be_fitted(
    write_set: Callable[..., Path], flat: Callable[..., Any], scorer: Scorer
) -> None:
    faces = open_faces(write_set([flat("Swap", "a", (90, 99), split="val")]), "val", scorer.spec.crop)
    scored, _ = score_faces(faces, scorer, (UNCHANGED,))
    with pytest.raises(UsageError, match="no real face in split val"):
        fit_operating_point([scored], ModelSpec("tiny"), 0.1)


def test_certain_false_alarms_leave_no_threshold(
    write_set: Callable[..., Path], flat: Callable[..., Any], scorer: Scorer
) -> None:
    videos = [flat("real", "a", (255,) * 2, split="val"), flat("Swap", "b", (255,) * 2, split="val")]
    scored, _ = score_faces(open_faces(write_set(videos), "val", scorer.spec.crop), scorer, (UNCHANGED,))
    with pytest.raises(UsageError, match="as surely fake as a video can be"):
        fit_operating_point([scored.rescaled(100)], ModelSpec("tiny", temperature=0.01), 0.1)


@pytest.mark.parametrize("half", [False, True])
def test_stored_checkpoint_has_the_point_and_the_same_weights_as_small_as_before(
    tmp_path: Path, two_methods: Path, half: bool
) -> None:
    torch.manual_seed(0)
    source, out = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    save_checkpoint(Checkpoint(TinyDF().state_dict(), {"seed": 3}, ModelSpec("mine")), source, half=half)
    spec = store_operating_point(POINT, source, out, [open_faces(two_methods, "test", ModelSpec("mine").crop)])
    before, after = load_checkpoint(source), load_checkpoint(out)
    assert (after.spec.temperature, after.spec.threshold, after.spec.name) == (1.7, 0.61, "mine")
    assert (spec.temperature, spec.threshold) == (1.7, 0.61)
    assert after.spec.fpr_thresholds == ((0.1, 0.7),)
    assert all(torch.equal(value, after.state[name]) for name, value in before.state.items())
    assert abs(out.stat().st_size - source.stat().st_size) < 1000
    assert after.config["seed"] == 3
    assert after.config["operating_point"]["fpr"] == 0.1
    assert len(after.config["operating_point"]["tables"]) == 1


def test_a_checkpoint_may_be_fitted_in_place(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_checkpoint(Checkpoint(TinyDF().state_dict(), {}, ModelSpec("mine")), path)
    store_operating_point(POINT, path, path, [])
    assert load_checkpoint(path).spec.threshold == 0.61


def test_other_names_than_checkpoints_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownFormatError, match=r"\.safetensors"):
        store_operating_point(POINT, tmp_path / "a.safetensors", tmp_path / "b.onnx", [])
