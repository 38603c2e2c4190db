"""Pairs made beforehand: the command, what it writes, and what training reads of it."""

import json
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from torch.utils.data import Dataset

import tinydf.data.make_pairs
from tinydf.cli.make_pairs import main
from tinydf.data.photos import read_photos
from tinydf.data.samples import Pair
from tinydf.data.series import training_pairs
from tinydf.data.shards import ShardPairs, read_plan, write_plan
from tinydf.train_config import TrainConfig
from tinydf_runtime.errors import UnavailableError, UnreadableInputError, UsageError

PAIRS = 7


@pytest.fixture(scope="module", autouse=True)
def small_shards() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tinydf.data.make_pairs, "PAIRS_A_SHARD", 3)
        yield


def run(data: Path, out: Path, *arguments: str) -> Result:
    fixed = ["--data", str(data), "--out", str(out), "--pairs", str(PAIRS), "--seed", "5", "--workers", "1"]
    return CliRunner().invoke(main, [*fixed, *arguments])


@pytest.fixture(scope="module")
def made(drawn_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "pairs"
    result = run(drawn_folder, folder)
    assert (result.exit_code, result.stderr) == (0, "")
    assert f"{PAIRS} pairs" in result.stdout
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "pairs"))


def shards(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def series(data: Path) -> Dataset[Pair]:
    return training_pairs(TrainConfig(seed=5), read_photos(data, "train"), PAIRS, seed=5)


def test_what_is_read_is_what_training_would_have_made(folder: Path, drawn_folder: Path) -> None:
    read, made = ShardPairs(folder, 224, PAIRS, seed=0), series(drawn_folder)
    assert len(read) == PAIRS
    for index in range(PAIRS):
        np.testing.assert_array_equal(read[index].real, made[index].real)
        np.testing.assert_array_equal(read[index].forged, made[index].forged)
        assert read[index].mask.dtype == np.float32
        # What the network learns from it: means over cells of 16 px.
        given, wanted = (pair.mask.reshape(14, 16, 14, 16).mean((1, 3)) for pair in (read[index], made[index]))
        np.testing.assert_allclose(given, wanted, atol=0.003)


def test_a_second_round_is_the_first_one_mirrored(folder: Path) -> None:
    read = ShardPairs(folder, 224, 3 * PAIRS, seed=0)
    np.testing.assert_array_equal(read[3 + PAIRS].forged, read[3].forged[:, ::-1])
    np.testing.assert_array_equal(read[3 + PAIRS].mask, read[3].mask[:, ::-1])
    np.testing.assert_array_equal(read[3 + 2 * PAIRS].real, read[3].real)


def test_patches_are_cut_where_the_forgery_is_and_always_the_same(folder: Path) -> None:
    first, again = (ShardPairs(folder, 96, 2 * PAIRS, seed=1) for _ in range(2))
    for index in range(2 * PAIRS):
        assert first[index].real.shape == (96, 96, 3)
        assert first[index].mask.max() > 0.2
        np.testing.assert_array_equal(first[index].forged, again[index].forged)


def test_a_run_that_was_stopped_goes_on_with_what_is_missing(folder: Path, drawn_folder: Path) -> None:
    whole = {path.name: path.read_bytes() for path in folder.glob("*.npy")}
    assert len(whole) == 3
    (folder / "pairs-00001.npy").unlink()
    (folder / ".0123456789abcdef.tmp").write_bytes(b"half a file of a killed run")
    result = run(drawn_folder, folder, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["files_made"] == 1
    assert json.loads(result.stdout)["files_resumed"] == 2
    assert {path.name: path.read_bytes() for path in folder.glob("*.npy")} == whole
    assert shards(folder) == ["pairs-00000.npy", "pairs-00001.npy", "pairs-00002.npy", "pairs.json"]


def test_other_settings_are_refused_and_nothing_is_touched(folder: Path, drawn_folder: Path) -> None:
    before = shards(folder)
    result = run(drawn_folder, folder, "--seed", "6", "--without", "face-warp")
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "another seed, forgeries" in result.stderr
    assert shards(folder) == before


def test_the_plan_says_what_the_pairs_are(drawn_folder: Path, tmp_path: Path) -> None:
    result = run(drawn_folder, tmp_path / "pairs", "--without", "face-warp", "--pairs", "2", "--easy-share", "0.5")
    assert result.exit_code == 0
    plan, skipped = read_plan(tmp_path / "pairs")
    assert "face-warp" not in plan.forgeries
    assert sum(plan.forgeries.values()) == pytest.approx(1)
    assert (plan.seed, plan.pairs, plan.easy_share, plan.split, skipped) == (5, 2, 0.5, "train", [])
    assert plan.photos == len(read_photos(drawn_folder, "train"))


def test_photos_that_cannot_be_read_are_named_and_replaced(drawn_folder: Path, tmp_path: Path) -> None:
    data = tmp_path / "faces"
    shutil.copytree(drawn_folder, data)
    broken = [photo.path for photo in read_photos(data, "train")[::3]]
    for path in broken:
        path.write_bytes(b"no picture")
    result = run(data, tmp_path / "pairs", "--json", str(tmp_path / "figures.json"))
    assert result.exit_code == 5
    (line,) = result.stderr.splitlines()
    assert "could not be read, others took their places" in line
    assert str(data) in line
    skipped = json.loads((tmp_path / "figures.json").read_text())["skipped"]
    assert skipped and {Path(reason.partition(": ")[0]) for reason in skipped} <= set(broken)
    pairs = ShardPairs(tmp_path / "pairs", 224, PAIRS, seed=0)
    assert all(pairs[index].real.any() for index in range(PAIRS))
    # They stay named when a later run finds everything there.
    assert run(data, tmp_path / "pairs").exit_code == 5


def test_a_folder_without_one_readable_photo_ends_in_one_line(drawn_folder: Path, tmp_path: Path) -> None:
    data = tmp_path / "faces"
    shutil.copytree(drawn_folder, data)
    for photo in read_photos(data, "train"):
        photo.path.write_bytes(b"no picture")
    result = run(data, tmp_path / "pairs")
    assert result.exit_code == 5
    assert result.stderr.count("\n") == 1
    assert "photo after photo" in result.stderr


def test_two_processes_make_what_one_makes(folder: Path, drawn_folder: Path, tmp_path: Path) -> None:
    assert run(drawn_folder, tmp_path / "two", "--workers", "2").exit_code == 0
    assert shards(tmp_path / "two") == shards(folder)
    for path in folder.glob("*.npy"):
        assert (tmp_path / "two" / path.name).read_bytes() == path.read_bytes()


def test_a_pair_that_is_not_written_yet_is_waited_for(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = folder / "pairs-00002.npy"
    late = target.rename(folder / "later")
    read = ShardPairs(folder, 224, PAIRS, seed=0, poll_s=0.01)
    assert read[0].real.any()
    assert capsys.readouterr().err == ""
    writer = threading.Timer(0.3, late.rename, (target,))
    writer.start()
    assert read[PAIRS - 1].real.any()
    writer.join()
    assert "waiting for tinydf-make-pairs" in capsys.readouterr().err


def test_nobody_waits_for_ever(folder: Path) -> None:
    (folder / "pairs-00002.npy").unlink()
    with pytest.raises(UnavailableError, match=r"pairs-00002\.npy.*Start tinydf-make-pairs again"):
        ShardPairs(folder, 224, PAIRS, seed=0, patience_s=0.05, poll_s=0.01)[PAIRS - 1]


def test_crops_of_another_config_are_refused(folder: Path) -> None:
    plan, _ = read_plan(folder)
    write_plan(folder, replace(plan, crop_sha256="0" * 64), [])
    with pytest.raises(UsageError, match="crop config 00000000, expected"):
        ShardPairs(folder, 224, PAIRS, seed=0)


def test_a_file_with_too_few_pairs_is_named(folder: Path) -> None:
    np.save(folder / "pairs-00000.npy", np.load(folder / "pairs-00000.npy")[:1])
    with pytest.raises(UnreadableInputError, match=r"pairs-00000\.npy: does not hold 3 pairs"):
        ShardPairs(folder, 224, PAIRS, seed=0)[0]


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY and then nothing"])
def test_a_damaged_file_is_named(folder: Path, content: bytes) -> None:
    (folder / "pairs-00000.npy").write_bytes(content)
    with pytest.raises(UnreadableInputError, match=r"pairs-00000\.npy: is damaged"):
        ShardPairs(folder, 224, PAIRS, seed=0)[0]


@pytest.mark.parametrize("content", ["", "[]", '{"schema": "tinydf.pairs/9"}', '{"schema": "tinydf.pairs/1"}'])
def test_a_folder_without_a_plan_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "pairs.json").write_text(content)
    with pytest.raises(UnreadableInputError, match=r"pairs\.json: is no list of pairs"):
        ShardPairs(tmp_path, 224, 1, seed=0)


def test_training_reads_the_folder_in_place_of_making_pairs(folder: Path) -> None:
    read = training_pairs(TrainConfig(patch_px=96), [], 5, seed=1, folder=folder)
    assert isinstance(read, ShardPairs)
    assert len(read) == 5
    assert read[4].real.shape == (96, 96, 3)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (TrainConfig(without=["face-warp"]), "holds forgeries of the types .*face-warp"),
        (TrainConfig(method="both"), "--method both"),
    ],
)
def test_a_folder_that_is_not_what_the_run_needs_is_refused(folder: Path, config: TrainConfig, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        training_pairs(config, [], 5, seed=1, folder=folder)


def test_validation_faces_are_not_trained_on(folder: Path) -> None:
    plan, _ = read_plan(folder)
    write_plan(folder, replace(plan, split="val"), [])
    with pytest.raises(UsageError, match="of split val, expected train"):
        training_pairs(TrainConfig(), [], 5, seed=1, folder=folder)
