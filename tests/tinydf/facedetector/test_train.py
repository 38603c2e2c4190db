from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

from tinydf.cli.train_detector import main
from tinydf.facedetector.config import DetectorConfig, Draw, Precision
from tinydf.facedetector.dataset import ComposedPictures, collate
from tinydf.facedetector.mosaic import Composer
from tinydf.facedetector.photos import Photo, Pictures
from tinydf.facedetector.train import train
from tinydf.facedetector.weights import SHIPPED, load_detector
from tinydf.facedetector.world import WorldComposer
from tinydf_runtime.errors import ModelFileError, UnreadableInputError

SHORT = DetectorConfig(
    steps=6,
    batch_size=2,
    small_side_px=64,
    side_px=96,
    large_side_px=128,
    grow_at=3,
    warmup_steps=2,
    validate_every=3,
    validation_pictures=4,
)


def test_a_run_that_is_taken_up_again_ends_like_one_in_one_piece(photos: list[Photo], tmp_path: Path) -> None:
    # Without the fall at its end, a run of three steps is the first half of one of six.
    half = replace(SHORT, steps=3, decay_share=1e-9)
    long = replace(SHORT, decay_share=1e-9)
    train(Pictures(photos), Pictures(photos), tmp_path / "long", long, workers=0)
    train(Pictures(photos), Pictures(photos), tmp_path / "halves", half, workers=0)
    train(Pictures(photos), Pictures(photos), tmp_path / "halves", long, workers=0, resume=True)
    one, two = (load_file(tmp_path / name / "state.safetensors") for name in ("long", "halves"))
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, two[name], msg=name)
    log = [json.loads(line) for line in (tmp_path / "halves" / "log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in log] == [3, 6]


def test_a_run_that_is_stopped_saves_its_state_and_goes_on_as_if_it_had_not_been(
    photos: list[Photo], tmp_path: Path
) -> None:
    stop = threading.Event()

    def interrupt(step: int, loss: float, precision: float | None) -> None:
        if step == 2:
            stop.set()

    steps: list[int] = []
    train(Pictures(photos), Pictures(photos), tmp_path / "one", SHORT, workers=0)
    train(Pictures(photos), Pictures(photos), tmp_path / "halves", SHORT, workers=0, report=interrupt, stop=stop)
    train(
        *(Pictures(photos), Pictures(photos), tmp_path / "halves", SHORT),
        resume=True,
        workers=0,
        report=lambda step, loss, precision: steps.append(step),
    )
    assert steps[0] == 3
    one, two = (load_file(tmp_path / name / "facedetector.safetensors") for name in ("one", "halves"))
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, two[name], msg=name)


def test_a_run_on_scenes_mines_starts_from_weights_and_is_taken_up_again(
    photos: list[Photo], scenes: list[Photo], tmp_path: Path
) -> None:
    both, start = Pictures(photos, scenes), load_detector().network
    long = replace(SHORT, decay_share=1e-9, mine_every=2)
    for name, parts in (("long", (6,)), ("parts", (3, 6))):
        for steps in parts:
            config = replace(long, steps=steps)
            train(both, both, tmp_path / name, config, init=start, workers=0, resume=True)
        assert {path.name for path in (tmp_path / name).glob("mistakes-*.json")} == {
            "mistakes-2.json",
            "mistakes-4.json",
        }
    one, two = (load_file(tmp_path / name / "state.safetensors") for name in ("long", "parts"))
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, two[name], msg=name)
    entry = json.loads((tmp_path / "long" / "log.jsonl").read_text().splitlines()[0])
    assert 0.0 <= entry["video_recall"] <= 1.0
    # Three small steps away from weights that find the face.
    torch.testing.assert_close(one["network.stem.0.weight"], start.stem[0].weight, atol=0.05, rtol=0.1)


def test_in_bfloat16_weights_stay_near_those_of_float32(photos: list[Photo], tmp_path: Path) -> None:
    start = load_detector().network
    for precision in get_args(Precision):
        config = replace(SHORT, precision=precision)
        train(Pictures(photos), Pictures(photos), tmp_path / precision, config, init=start, workers=0)
    exact, rough = (load_file(tmp_path / name / "facedetector.safetensors") for name in get_args(Precision))
    assert any(not torch.equal(tensor, rough[name]) for name, tensor in exact.items())
    for name, tensor in exact.items():
        assert rough[name].dtype == tensor.dtype
        torch.testing.assert_close(rough[name], tensor, atol=0.05, rtol=0.1, msg=name)


def test_every_batch_holds_portraits_and_scenes(photos: list[Photo], scenes: list[Photo]) -> None:
    portraits = Composer(photos)
    with_world = ComposedPictures(portraits, 3, WorldComposer(scenes, portraits))
    alone = ComposedPictures(portraits, 3)
    same = [np.array_equal(with_world[Draw(0, p, 96)].image, alone[Draw(0, p, 96)].image) for p in range(4)]
    assert same == [True, False, True, False]


def test_the_kept_weights_can_be_loaded_and_say_how_they_came_about(photos: list[Photo], tmp_path: Path) -> None:
    path = train(Pictures(photos), Pictures(photos), tmp_path, SHORT, workers=0, origin={"photos": len(photos)})
    checkpoint = load_detector(path)
    assert checkpoint.facts["training"]["seed"] == SHORT.seed
    assert checkpoint.facts["data"] == {"photos": 6}
    assert len(checkpoint.sha256) == 64
    assert not checkpoint.network.training


def test_a_step_costs_the_same_at_every_side() -> None:
    config = DetectorConfig(grow_at=2)
    sides = [[draw.side_px for draw in config.batch_at(step)] for step in (0, 3, 5)]
    assert sides == [[256] * 16, [320] * 16, [640] * 4]


def test_learning_rate_rises_stays_and_falls_to_almost_nothing() -> None:
    config = DetectorConfig(steps=1000, warmup_steps=100, decay_share=0.3)
    rates = np.array([config.learning_rate_at(step) for step in range(1000)])
    assert rates[0] < 0.02 * config.learning_rate
    assert rates[100:650].tolist() == [config.learning_rate] * 550
    assert rates[-1] < 0.01 * config.learning_rate


def test_labels_of_a_batch_are_padded(photos: list[Photo]) -> None:
    pictures = ComposedPictures(Composer(photos), seed=3)
    samples = [pictures[Draw(0, place, 128)] for place in range(6)]
    batch = collate(samples)
    assert batch.images.shape == (6, 128, 128, 3)
    for index, sample in enumerate(samples):
        assert int(batch.present[index].sum()) == len(sample.boxes_xyxy)
        np.testing.assert_array_equal(batch.boxes_xyxy[index][batch.present[index]].numpy(), sample.boxes_xyxy)


def test_a_damaged_or_missing_checkpoint_is_refused(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(b"not tensors")
    with pytest.raises(ModelFileError, match=r"damaged\.safetensors"):
        load_detector(damaged)
    with pytest.raises(UnreadableInputError, match=r"none\.safetensors"):
        load_detector(tmp_path / "none.safetensors")


@pytest.mark.parametrize("world", [False, True])
def test_the_command_trains_and_chooses_a_threshold(
    faces_folder: Path, scenes_folder: Path, tmp_path: Path, world: bool
) -> None:
    arguments = ["--data", str(faces_folder), "--out", str(tmp_path), "--steps", "2", "--batch-size", "1"]
    arguments += ["--validation-pictures", "4"]
    if world:
        arguments += ["--scenes", str(scenes_folder), "--init", str(SHIPPED)]
    result = CliRunner().invoke(main, [*arguments, "--workers", "0", "--device", "cpu"])
    assert result.exit_code == 0, result.output
    checkpoint = load_detector(tmp_path / "facedetector.safetensors")
    assert 0.3 <= checkpoint.facts["score_threshold"] <= 0.8
    assert checkpoint.facts["data"]["scenes"] == (2 if world else 0)


INTERRUPTED = """
import os, signal, sys
import tinydf.facedetector.train as training
learn = training._learn
def interrupt(*arguments):
    # A terminal sends Ctrl-C to the workers too.
    os.killpg(0, signal.SIGINT)
    return learn(*arguments)
training._learn = interrupt
from tinydf.cli.train_detector import main
main()
"""


def test_ctrl_c_saves_the_state_though_the_workers_get_it_too(faces_folder: Path, tmp_path: Path) -> None:
    arguments = ["--data", str(faces_folder), "--out", str(tmp_path), "--steps", "50", "--batch-size", "1"]
    arguments += ["--validation-pictures", "4", "--workers", "1", "--device", "cpu", "--threads", "1"]
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, *arguments],
        capture_output=True,
        text=True,
        start_new_session=True,
        check=False,
    )
    assert done.returncode == 130, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("tinydf-train-detector: interrupted; the state is saved.")
    assert (tmp_path / "state.safetensors").is_file()


def test_a_missing_folder_ends_the_command_with_one_line(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["--data", str(tmp_path / "none"), "--out", str(tmp_path / "run")])
    assert result.exit_code == 5
    assert result.output.count("\n") == 1
