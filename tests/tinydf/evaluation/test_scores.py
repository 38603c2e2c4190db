from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinydf.data.drawn_faces import write_drawn_faces
from tinydf.data.photos import read_photos
from tinydf.evaluation.faces import open_faces
from tinydf.evaluation.perturbations import LADDER, UNCHANGED
from tinydf.evaluation.scores import score_faces
from tinydf.evaluation.scoring import Scorer


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
