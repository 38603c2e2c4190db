"""Clips made of photos, their scores, and what a network learns from them about real people."""

from __future__ import annotations

import json
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from tinydf.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from tinydf.cli.fpr_table import main as fpr_table
from tinydf.cli.score_clips import main as score_clips
from tinydf.data.photos import Photo
from tinydf.evaluation.scored_clips import read_clips
from tinydf.evaluation.synthetic_clips import HEIGHT, WIDTH, make_clip
from tinydf.forgery import TinyDF
from tinydf_runtime.models.spec import ModelSpec
from tinydf_runtime.types import FaceQuality

PEOPLE = 60
TRUE_TEMPERATURE = 2.0


@pytest.fixture(scope="module")
def scores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of scores of 60 people: real logits around -1, forged ones of half of them around +1, twice too large."""
    rng = np.random.default_rng(0)
    rows: list[list[float]] = []
    clips: list[tuple[str, str, str]] = []
    for person in range(PEOPLE):
        for kind in ("real", *(["forged"] if person % 2 else []), "picture"):
            logit = TRUE_TEMPERATURE * rng.normal(1.0 if kind == "forged" else -1.0, 1.4)
            probability = 1 / (1 + np.exp(-logit))
            for frame in range(1 if kind == "picture" else 20):
                rows.append([len(clips), 1, frame / 5, 10, 10, 110, 120, 0.95, probability, *astuple(FaceQuality())])
            clips.append(("val", kind, f"person {person}"))
    path = tmp_path_factory.mktemp("scored") / "scores.npz"
    np.savez_compressed(path, rows=np.array(rows, np.float32), clips=np.array(clips), shift=np.zeros(len(clips)))
    return path


def test_a_clip_is_the_same_at_every_call_and_moves(drawn_photos: list[Photo]) -> None:
    once, again = (make_clip(drawn_photos[0], 3, seconds=0.4) for _ in range(2))
    assert [frame.time_s for frame in once] == [0, 0.1, 0.2, 0.3]
    assert all(frame.image.shape == (HEIGHT, WIDTH, 3) for frame in once)
    assert all(np.array_equal(one.image, other.image) for one, other in zip(once, again, strict=True))
    assert not np.array_equal(once[0].image, once[-1].image)


def test_clips_of_people_are_scored_and_read_again(drawn_folder: Path, tiny_classifier: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores.npz"
    chosen = ["--split", "val", "--real", "1", "--forged", "1", "--long", "0", "--model", str(tiny_classifier)]
    result = CliRunner().invoke(score_clips, [str(drawn_folder), str(out), *chosen, "--workers", "1"])
    assert result.exit_code == 0, result.output
    clips = read_clips(out)
    assert [(clip.split, clip.kind) for clip in clips] == [("val", "real"), ("val", "forged"), ("val", "picture")]
    assert len({clip.person for clip in clips}) == 1
    faces = sum(len(scores) for clip in clips for scores in clip.tracks.values())
    assert f"3 clips and pictures, {faces} faces" in result.stdout


def test_two_processes_score_as_one_does(drawn_folder: Path, tiny_classifier: Path, tmp_path: Path) -> None:
    files = []
    for workers in ("1", "2"):
        out = tmp_path / f"{workers}.npz"
        chosen = ["--split", "train", "--real", "2", "--forged", "1", "--long", "0", "--model", str(tiny_classifier)]
        result = CliRunner().invoke(score_clips, [str(drawn_folder), str(out), *chosen, "--workers", workers])
        assert result.exit_code == 0, result.output
        files.append(dict(np.load(out)))
    assert [tuple(clip) for clip in files[0]["clips"]] == [tuple(clip) for clip in files[1]["clips"]]
    assert len(files[0]["clips"]) == 5 and len(files[0]["rows"])
    assert all(np.array_equal(value, files[1][name]) for name, value in files[0].items())


def test_the_table_says_what_share_of_real_people_reaches_each_threshold(scores: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    checkpoint = tmp_path / "mine.safetensors"
    save_checkpoint(Checkpoint(TinyDF().state_dict(), {"seed": 3}, ModelSpec("mine")), checkpoint, half=True)
    before = load_checkpoint(checkpoint)
    result = CliRunner().invoke(fpr_table, [str(scores), "--store", str(checkpoint)])
    assert result.exit_code == 0, result.output
    told, after = json.loads(result.stdout), load_checkpoint(checkpoint)
    assert told["temperature"] == pytest.approx(TRUE_TEMPERATURE, rel=0.35)
    assert told["real_people"]["people"] == told["real_pictures"]["people"] == PEOPLE
    real = np.array([clip.tracks[1][0].fake_probability for clip in read_clips(scores) if clip.kind == "real"])
    divided = 1 / (1 + ((1 - real) / real) ** (1 / told["temperature"]))
    for share, threshold in told["fpr_thresholds"]:
        assert (divided >= threshold).mean() <= share
    assert [share for share, _ in told["fpr_thresholds"]] == [0.1, 0.2, 0.3]
    assert (after.spec.temperature, after.spec.threshold) == (told["temperature"], told["threshold"])
    assert after.spec.real_people is not None and after.config == before.config
    assert all(torch.equal(value, after.state[name]) for name, value in before.state.items())


@pytest.mark.parametrize(("split", "code", "message"), [("test", 2, "no clip of split test"), ("val", 5, "no file of")])
def test_scores_that_say_nothing_are_one_line(
    split: str, code: int, message: str, scores: Path, tmp_path: Path
) -> None:
    path = tmp_path / "scores.npz"
    content = scores.read_bytes()
    path.write_bytes(content if split == "test" else content[:300])
    result = CliRunner().invoke(fpr_table, [str(path), "--split", split])
    assert (result.exit_code, result.stderr.count("\n")) == (code, 1)
    assert message in result.stderr
