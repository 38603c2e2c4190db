from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinydf.data.drawn_faces import write_drawn_faces
from tinydf.data.photos import read_photos
from tinydf.evaluation.evaluate import evaluate
from tinydf.evaluation.faces import open_faces
from tinydf.evaluation.perturbations import LADDER, UNCHANGED
from tinydf.evaluation.result import Evaluation
from tinydf.evaluation.scores import ScoredFaces, score_faces
from tinydf.evaluation.scoring import Scorer
from tinydf.evaluation.slices import cut_slices
from tinydf.evaluation.videos import judge_videos
from tinydf_runtime.models.spec import ModelSpec
from tinydf_runtime.types import FaceScore
from tinydf_runtime.verdict.aggregate import judge_track
from tinydf_runtime.verdict.rules import DecisionRule


def test_faces_keep_the_order_of_the_table(two_methods: Path, scorer: Scorer) -> None:
    seen = []
    scored, failures = score_faces(
        open_faces(two_methods, "test", scorer.spec.crop),
        scorer,
        (UNCHANGED,),
        report=lambda done, total: seen.append((done, total)),
    )
    assert failures == ()
    assert seen[-1] == (48, 48)
    greens = 255 / (1 + np.exp(-scored.logit[:, 0]))
    assert greens[:4] == pytest.approx((60, 62, 70, 72), abs=0.01)
    assert scored.video.tolist() == np.repeat(np.arange(24), 2).tolist()


def test_each_perturbation_has_a_column_of_its_own(two_methods: Path, scorer: Scorer) -> None:
    darker = [rung for rung in LADDER if rung.kind == "contrast"]
    scored, _ = score_faces(open_faces(two_methods, "test", scorer.spec.crop, limit=2), scorer, (UNCHANGED, *darker))
    greens = 255 / (1 + np.exp(-scored.logit[0]))
    assert greens == pytest.approx([60, *(int(60 * factor) for factor in (0.85, 0.725, 0.6, 0.475, 0.35))], abs=0.01)


def test_a_worker_process_changes_nothing(two_methods: Path, scorer: Scorer) -> None:
    faces = open_faces(two_methods, "test", scorer.spec.crop, limit=4)
    alone, _ = score_faces(faces, scorer, (UNCHANGED,))
    helped, _ = score_faces(faces, scorer, (UNCHANGED,), workers=1)
    assert np.array_equal(alone.logit, helped.logit)
    assert alone.faces == helped.faces


def test_unreadable_pictures_are_named_and_the_rest_is_scored(
    write_set: Callable[..., Path], flat: Callable[..., Any], scorer: Scorer
) -> None:
    folder = write_set([flat("real", "a", (10, 20, 30)), flat("Swap", "b", (40,))])
    (folder / "0-0.png").unlink()
    (folder / "0-2.png").write_bytes(b"no picture")
    scored, failures = score_faces(open_faces(folder, "test", scorer.spec.crop), scorer, (UNCHANGED,))
    assert [face.frame for face in scored.faces] == [1, 0]
    assert [reason.split(": ")[1] for reason in (failure.reason for failure in failures)] == [
        "is missing.",
        "cannot be read as an image.",
    ]


def test_a_missing_photo_is_named_once_and_gives_its_face_to_nobody(tmp_path: Path, scorer: Scorer) -> None:
    write_drawn_faces(tmp_path, 4)
    photos = read_photos(tmp_path, "train")
    photos[1].path.unlink()
    faces = open_faces(tmp_path, "train", scorer.spec.crop)
    scored, failures = score_faces(faces, scorer, (UNCHANGED,))
    (failure,) = failures
    assert photos[1].path.name in failure.reason
    assert len(scored.faces) == 2 * 9 * (len(photos) - 1)


def test_another_temperature_stretches_every_logit(two_methods: Path, scorer: Scorer) -> None:
    scored, _ = score_faces(open_faces(two_methods, "test", scorer.spec.crop, limit=2), scorer, (UNCHANGED,))
    assert np.array_equal(scored.rescaled(2).logit, 2 * scored.logit)


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


def names_of(evaluation: Evaluation, kind: str) -> list[str]:
    return [one.name for one in evaluation.slices if one.kind == kind]


def test_a_methods_fakes_stand_beside_the_reals_of_their_source_and_compression(evaluation: Evaluation) -> None:
    videos = evaluation.scored.videos
    methods = [one for one in cut_slices(evaluation.scored) if one.kind == "method"]
    assert [one.name for one in methods] == [
        f"set · {compression} · {method}" for method in ("Swap", "Mask") for compression in ("c23", "c40")
    ]
    for one in methods:
        _, compression, method = one.name.split(" · ")
        chosen = [video for video, inside in zip(videos, one.chosen, strict=True) if inside]
        assert {video.compression for video in chosen} == {compression}
        assert {video.method for video in chosen} == {"real", method}
        assert len(chosen) == 8


def test_sizes_and_sharpness_part_the_videos(evaluation: Evaluation) -> None:
    assert names_of(evaluation, "face size") == ["under 64 px", "112 to 180 px"]
    assert names_of(evaluation, "compression") == ["c23", "c40"]
    # All faces are as sharp as each other, and all are of one source: nothing to compare.
    assert names_of(evaluation, "sharpness") == names_of(evaluation, "source") == []
    for kind in ("face size", "compression"):
        chosen = [one.chosen for one in cut_slices(evaluation.scored) if one.kind == kind]
        assert (np.sum(chosen, axis=0) == 1).all()


def test_sharpness_makes_quarters(write_set: Callable[..., Path], flat: Callable[..., Any], scorer: Scorer) -> None:
    videos = [flat("real" if i % 2 else "Swap", f"{i}", (100 + i,), sharpness=float(i)) for i in range(16)]
    found = evaluate(scorer, open_faces(write_set(videos), "test", scorer.spec.crop))
    quarters = [one for one in found.slices if one.kind == "sharpness"]
    assert [(one.counts.real_videos, one.counts.fake_videos) for one in quarters] == [(2, 2)] * 4
    assert names_of(found, "sharpness")[0] == "least sharp quarter"
