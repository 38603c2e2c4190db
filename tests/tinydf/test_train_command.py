"""``tinydf-train`` on pairs made beforehand, on photos that cannot be read, and with networks of others."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from tinydf.baselines import NETWORKS
from tinydf.baselines.efficientnet_lite0 import PACKAGE
from tinydf.checkpoint import load_checkpoint
from tinydf.cli.make_pairs import main as make_pairs
from tinydf.cli.train import main
from tinydf.data.drawn_faces import write_drawn_faces
from tinydf.data.photos import Photo, read_photos
from tinydf.data.skipped import Skipped
from tinydf.evaluation.scoring import open_scorer
from tinydf.initial import initial_network
from tinydf.train_config import Network, TrainConfig
from tinydf_runtime.errors import UsageError

SHORT = ["--steps", "2", "--batch-pairs", "4", "--patch-px", "64", "--validate-every", "2", "--device", "cpu"]


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("few") / "faces"
    write_drawn_faces(folder, 8)
    return folder


@pytest.fixture(scope="module")
def pairs(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "pairs"
    arguments = ["--data", str(faces), "--out", str(folder), "--pairs", "6", "--easy-share", "0.5", "--workers", "1"]
    assert CliRunner().invoke(make_pairs, arguments).exit_code == 0
    return folder


def run(*arguments: object, part: str = "residual") -> Result:
    chosen = [*SHORT, "--part", part, "--workers", "0", "--quiet", *map(str, arguments)]
    return CliRunner().invoke(main, chosen)


def cut_off(photo: Photo) -> None:
    """Puts the first half of a JPEG in a photo's place: a decoder alone would show the other half as grey."""
    image = cv2.imread(str(photo.path))
    assert image is not None
    content = cv2.imencode(".jpg", image)[1].tobytes()
    photo.path.write_bytes(content[: len(content) // 2])


def test_pairs_made_beforehand_are_learned_from(faces: Path, pairs: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(faces, tmp_path / "faces"))
    for photo in read_photos(data, "train"):
        photo.path.unlink()
    result = run("--data", data, "--pairs", pairs, "--out", tmp_path / "run")
    assert (result.exit_code, result.stderr) == (0, "")
    record = load_checkpoint(tmp_path / "run" / "tinydf.safetensors").config
    assert (record["pairs"]["pairs"], record["easy_share"]) == (6, 0.5)
    other = run("--data", faces, "--out", tmp_path / "run", "--resume")
    assert other.exit_code == 2 and "other settings" in other.stderr


def damaged(pairs: Path, folder: Path) -> Path:
    copied = Path(shutil.copytree(pairs, folder / "damaged"))
    (copied / "pairs-00000.npy").write_bytes(b"\x93NUMPY and then nothing")
    return copied


@pytest.mark.parametrize(
    ("find", "code", "message"),
    [
        (lambda pairs, folder: folder / "nowhere", 5, "nowhere/pairs.json: is no list of pairs"),
        (lambda pairs, folder: folder, 5, "is no list of pairs"),
        (damaged, 5, "pairs-00000.npy: is damaged"),
    ],
)
def test_a_folder_that_holds_no_pairs_is_one_line(
    find: Callable[[Path, Path], Path], code: int, message: str, faces: Path, pairs: Path, tmp_path: Path
) -> None:
    result = run("--data", faces, "--pairs", find(pairs, tmp_path), "--out", tmp_path / "run")
    assert (result.exit_code, result.stderr.count("\n")) == (code, 1)
    assert message in result.stderr
    assert not (tmp_path / "run" / "tinydf.safetensors").exists()


def test_pairs_of_other_people_are_refused(pairs: Path, drawn_folder: Path, tmp_path: Path) -> None:
    result = run("--data", drawn_folder, "--pairs", pairs, "--out", tmp_path / "run")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "the folder that the pairs were made of" in result.stderr


def test_pairs_need_faces_to_validate_on(pairs: Path, tmp_path: Path) -> None:
    result = run("--demo", "--pairs", pairs, "--out", tmp_path / "run")
    assert result.exit_code == 2 and "--data FACES" in result.stderr


@pytest.mark.parametrize("workers", [0, 1])
def test_photos_that_are_cut_off_are_left_out_and_named(workers: int, faces: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(faces, tmp_path / "faces"))
    # Half of those to train on, so that some are drawn; every one to validate on is.
    broken = {split: read_photos(data, split)[::2] for split in ("train", "val")}
    for photo in (*broken["train"], *broken["val"]):
        cut_off(photo)
    result = run("--data", data, "--out", tmp_path / "run", "--workers", workers)
    assert result.exit_code == 5
    (line,) = result.stderr.splitlines()
    reasons = Skipped(tmp_path / "run" / "skipped.txt").reasons()
    assert line.startswith(f"tinydf-train: {len(reasons)} pictures left out: ")
    assert all(reason in line for reason in reasons)
    named = {Path(reason.removesuffix(": the image is cut off. Copy it again.")) for reason in reasons}
    for photos in broken.values():
        assert named & {photo.path for photo in photos}
    assert named <= {photo.path for photos in broken.values() for photo in photos}
    load_checkpoint(tmp_path / "run" / "tinydf.safetensors")


@pytest.mark.parametrize("workers", [0, 1])
def test_a_folder_whose_photos_have_gone_ends_in_one_line(workers: int, faces: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(faces, tmp_path / "faces"))
    for photo in read_photos(data, "train"):
        photo.path.unlink()
    result = run("--data", data, "--out", tmp_path / "run", "--workers", workers)
    assert (result.exit_code, result.stderr.count("\n")) == (5, 1)
    assert "pictures in a row cannot be read" in result.stderr and "Traceback" not in result.stderr


def test_a_new_run_does_not_name_what_another_one_left_out(faces: Path, tmp_path: Path) -> None:
    (tmp_path / "skipped.txt").write_text("gone.jpg: no such file.\n")
    result = run("--data", faces, "--out", tmp_path)
    assert (result.exit_code, result.stderr) == (0, "")


def test_a_network_of_others_is_trained_resumed_and_measured(faces: Path, tmp_path: Path) -> None:
    start = ("--data", faces, "--out", tmp_path, "--network", "meso4")
    assert run(*start, part="whole").exit_code == 0
    assert run(*start, "--resume", part="whole").exit_code == 0
    assert "other settings" in run("--data", faces, "--out", tmp_path, "--resume", part="whole").stderr
    scorer = open_scorer(tmp_path / "tinydf.safetensors")
    assert scorer.spec.name == "meso4"
    logits = scorer.logits(np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), np.uint8))
    assert np.isfinite(logits).all() and logits[0] != logits[1]


@pytest.mark.parametrize(("now", "before"), [("rgb", "deep"), ("noise", "residual"), ("whole", "whole")])
def test_former_names_of_branches_and_curriculum_stay(now: str, before: str) -> None:
    asked = [
        main.make_context("tinydf-train", ["--demo", "--out", "run", "--part", part, option, "0.5"]).params
        for part, option in ((now, "--curriculum-share"), (before, "--easy-share"))
    ]
    assert asked[0] == asked[1]
    assert (asked[0]["part"], asked[0]["easy_share"]) == (before, 0.5)


def test_the_names_of_networks_are_those_that_are_there() -> None:
    assert get_args(Network) == tuple(NETWORKS)


@pytest.mark.parametrize("wrong", [{"part": "deep"}, {"width": 2.0}])
def test_only_tinydf_has_parts_and_widths(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="only tinydf has branches and widths"):
        TrainConfig(network="meso4", **wrong)  # type: ignore[arg-type]


def test_weights_of_one_network_are_no_start_for_another(tmp_path: Path, faces: Path) -> None:
    assert run("--data", faces, "--out", tmp_path, "--network", "meso4", part="whole").exit_code == 0
    with pytest.raises(UsageError, match="network meso4, the run asks for tinydf"):
        initial_network(str(tmp_path / "tinydf.safetensors"))
    for init, network, width in (("lite1", "meso4", 1.0), ("lite1", "tinydf", 2.0), ("lite0", "tinydf", 1.0)):
        with pytest.raises(UsageError, match=f"--init {init}"):
            initial_network(init, network, width)


def test_public_weights_start_the_baseline_too() -> None:
    pytest.importorskip(PACKAGE, reason="the extra pretrained is not installed")
    network, origin = initial_network("lite0", "efficientnet-lite0")
    assert origin is not None and origin["backbone"].startswith("efficientnet-lite0")
    assert network.training
