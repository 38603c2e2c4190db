from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tinydf.evaluation.evaluate import evaluate
from tinydf.evaluation.faces import open_faces
from tinydf.evaluation.result import Evaluation
from tinydf.evaluation.scoring import Scorer
from tinydf.evaluation.slices import cut_slices


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
