"""Figures on real deepfakes, kept by checkpoint."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from tinydf.cli.evaluate import main
from tinydf.evaluation.plain_photos import as_table
from tinydf.evaluation.real_clips import UNMEASURED, describe, read_real_clips, real_clips_of, write_real_clips
from tinydf.evaluation.result import Evaluation
from tinydf_runtime.errors import UnreadableInputError, UsageError
from tinydf_runtime.types import Image

SHIPPED = Path(__file__).parents[3] / "docs" / "real_clips.json"


def test_figures_are_by_set_compression_and_method(evaluation: Evaluation) -> None:
    found = real_clips_of([evaluation])
    named = {(one.compression, one.method): one for one in found.figures}
    assert set(named) == {(c, m) for c in ("c23", "c40") for m in ("all", "Swap", "Mask")}
    assert named["c23", "Swap"].auc == 1.0 and named["c40", "Swap"].auc == 0.5
    assert (named["c23", "all"].real_clips, named["c23", "all"].fake_clips) == (4, 8)
    for shares, clips in ((found.verdicts["real"], 8), (found.verdicts["forged"], 16)):
        assert shares.clips == clips and shares.real is not None
        assert shares.fake + shares.inconclusive + shares.real == pytest.approx(1, abs=2e-3)


def test_what_is_written_is_read_again(evaluation: Evaluation, tmp_path: Path) -> None:
    found = {"a" * 64: real_clips_of([evaluation])}
    write_real_clips(found, tmp_path / "r.json")
    assert read_real_clips(tmp_path / "r.json") == found
    assert read_real_clips(tmp_path / "none.json") == {}
    (tmp_path / "r.json").write_text('{"schema": "other"}')
    with pytest.raises(UnreadableInputError):
        read_real_clips(tmp_path / "r.json")


def test_synthetic_forgeries_are_no_real_deepfakes(evaluation: Evaluation) -> None:
    with pytest.raises(UsageError, match="are synthetic"):
        real_clips_of([replace(evaluation, data=replace(evaluation.data, made_by_code=("self-blend",)))])


def test_a_card_says_what_was_measured_or_that_nobody_did(evaluation: Evaluation) -> None:
    text = describe(real_clips_of([evaluation]))
    assert "8 real clips" in text and "| set | c23 | Swap | 4 | 4 | 1.000 |" in text
    assert describe(None).startswith(f"**{UNMEASURED}**")
    shipped = read_real_clips(SHIPPED)
    assert shipped and all("Never tested" in describe(one).splitlines()[0] for one in shipped.values())


def test_the_command_keeps_other_checkpoints_and_replaces_its_own(
    two_methods: Path, tiny_classifier: Path, tmp_path: Path, evaluation: Evaluation
) -> None:
    out = tmp_path / "real.json"
    write_real_clips({"b" * 64: real_clips_of([evaluation])}, out)
    run = CliRunner().invoke(main, [str(tiny_classifier), "--data", str(two_methods), "--real-clips", str(out)])
    assert run.exit_code == 0, run.output
    assert "verdicts of tinydf-run" in run.stdout
    assert set(json.loads(out.read_text())["checkpoints"]) == {"", "b" * 64}


def test_plain_photos_are_measured_and_nothing_is_left_behind(astronaut: Image, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for person in ("one", "two"):
        (photos / person).mkdir(parents=True)
        cv2.imwrite(str(photos / person / "photo.png"), astronaut)
    cv2.imwrite(str(photos / "empty.png"), np.full((64, 64, 3), 90, np.uint8))
    with as_table(photos, "test") as (folder, without):
        assert folder != photos and (folder / "faces.parquet").is_file() and without == 1
    assert not folder.exists() and sorted(path.name for path in photos.iterdir()) == ["empty.png", "one", "two"]
    with as_table(folder.parent / "nowhere", "test") as (same, _):
        assert same == folder.parent / "nowhere"
