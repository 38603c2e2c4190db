from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tinydf.evaluation.evaluate import evaluate
from tinydf.evaluation.faces import SyntheticPairs, open_faces
from tinydf.evaluation.perturbations import LADDER
from tinydf.evaluation.result import Evaluation, SliceResult
from tinydf.evaluation.scoring import Scorer
from tinydf_runtime.errors import UnreadableInputError


def auc_of(result: SliceResult) -> float:
    assert result.videos["auc"] is not None
    return result.videos["auc"].value


def method(evaluation: Evaluation, name: str) -> SliceResult:
    return next(one for one in evaluation.slices if one.name == f"set · {name}")


def test_methods_of_one_name_each_get_their_own_figure(evaluation: Evaluation) -> None:
    assert auc_of(method(evaluation, "c23 · Swap")) == 1
    assert auc_of(method(evaluation, "c40 · Swap")) == 0.5
    # Of 16 pairs of a real and a fake, 60..90 against 75, 85, 150, 160, three are in the wrong order.
    assert auc_of(method(evaluation, "c23 · Mask")) == pytest.approx(13 / 16)


def test_counts_are_those_of_the_table(evaluation: Evaluation) -> None:
    counts = evaluation.whole.counts
    assert (counts.real_videos, counts.fake_videos) == (8, 16)
    assert (counts.real_faces, counts.fake_faces) == (16, 32)
    assert evaluation.failures == ()


def test_error_rates_are_at_the_models_threshold(evaluation: Evaluation) -> None:
    # At .5 the green level 128 divides; three of four videos of real c40 and of Swap c40 stay below it.
    missed, alarmed = evaluation.whole.videos["apcer"], evaluation.whole.videos["bpcer"]
    assert missed is not None and missed.value == pytest.approx((3 + 2) / 16)
    assert alarmed is not None and alarmed.value == pytest.approx(1 / 8)


def test_worst_method_is_the_one_that_passes_most_often(evaluation: Evaluation) -> None:
    worst = evaluation.worst_method()
    assert worst is not None and worst.name == "set · c40 · Swap"


def test_small_slices_say_their_count_and_have_wide_intervals(evaluation: Evaluation) -> None:
    perfect = method(evaluation, "c23 · Swap")
    assert perfect.note == "few originals (4 real, 4 fake): wide intervals"
    found = perfect.videos["auc"]
    assert found is not None and found.low < 0.65


def test_only_fakes_have_no_auc_and_say_why(
    write_set: Callable[..., Path], flat: Callable[..., Any], scorer: Scorer
) -> None:
    folder = write_set([flat("Swap", f"{i}", (100 + 20 * i,)) for i in range(4)])
    found = evaluate(scorer, open_faces(folder, "test", scorer.spec.crop))
    assert found.whole.videos["auc"] is None
    assert found.whole.videos["apcer"] is not None and found.whole.videos["apcer"].value == 0.5
    assert found.whole.note == "no real video: no AUC"
    assert any("no real video: no AUC" in note for note in found.notes)


def test_videos_without_an_answer_are_counted_and_left_out(
    write_set: Callable[..., Path], flat: Callable[..., Any], scorer: Scorer
) -> None:
    videos = [flat("real", "a", (50,)), flat("Swap", "b", (200,)), flat("Swap", "c", (20,), side_px=30)]
    found = evaluate(scorer, open_faces(write_set(videos), "test", scorer.spec.crop))
    assert auc_of(found.whole) == 1
    assert found.whole.counts.fake_videos_not_judged == 1
    assert any("1 of 3 videos get no probability" in note for note in found.notes)
    # By frame there is nothing to refuse.
    assert found.whole.frames["auc"] is not None and found.whole.frames["auc"].value == 0.5


def test_real_photos_alone_say_that_their_forgeries_are_synthetic(drawn_folder: Path, scorer: Scorer) -> None:
    found = evaluate(scorer, open_faces(drawn_folder, "train", scorer.spec.crop, limit=2))
    assert all(name in found.notes[0] for name in ("synthetic", "no figures on real deepfakes"))
    methods = [one for one in found.slices if one.kind == "method"]
    assert len(methods) == 9
    assert all(one.name.startswith("synthetic: ") for one in methods)
    assert all((one.counts.real_videos, one.counts.fake_videos) == (2, 2) for one in methods)


def test_same_seed_gives_the_same_figures_and_another_one_other_forgeries(drawn_folder: Path, scorer: Scorer) -> None:
    def logits(seed: int) -> list[float]:
        faces = open_faces(drawn_folder, "train", scorer.spec.crop, 2, seed)
        assert isinstance(faces.entries, SyntheticPairs)
        # One type says as much as nine.
        one_type = replace(faces, entries=replace(faces.entries, forgers=faces.entries.forgers[:1]))
        scored: list[float] = evaluate(scorer, one_type, seed=seed).scored.logit.tolist()
        return scored

    assert logits(3) == logits(3) != logits(4)


def test_ladder_begins_unchanged_and_follows_the_network(two_methods: Path, scorer: Scorer) -> None:
    dark = tuple(rung for rung in LADDER if rung.kind == "contrast")
    found = evaluate(scorer, open_faces(two_methods, "test", scorer.spec.crop), dark)
    assert [(rung.kind, rung.level) for rung in found.robustness] == [
        ("none", 0),
        *(("contrast", i) for i in range(1, 6)),
    ]
    assert found.robustness[0].auc == found.whole.videos["auc"]
    # Scaling all greens keeps their order, up to rounding to whole levels.
    for rung in found.robustness:
        assert rung.auc is not None and rung.auc.value == pytest.approx(auc_of(found.whole), abs=0.03)


def test_a_set_of_which_nothing_can_be_read_is_an_input_error(
    write_set: Callable[..., Path], flat: Callable[..., Any], scorer: Scorer
) -> None:
    folder = write_set([flat("real", "a", (50,)), flat("Swap", "b", (200,))])
    for picture in folder.glob("*.png"):
        picture.unlink()
    with pytest.raises(UnreadableInputError, match="not one picture could be measured"):
        evaluate(scorer, open_faces(folder, "test", scorer.spec.crop))
