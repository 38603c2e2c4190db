"""scripts/train_on_gpu.py from end to end on the CPU, so that it is whole when a GPU is at hand."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from click.testing import CliRunner

from tinydf.checkpoint import load_checkpoint
from tinydf.cli.make_pairs import main as make_pairs
from tinydf.data.drawn_faces import write_drawn_faces


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    path = Path(__file__).resolve().parents[2] / "scripts" / "train_on_gpu.py"
    spec = importlib.util.spec_from_file_location("train_on_gpu", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    # A trial of two steps and a run of one, however slow the machine.
    monkeypatch.setattr(module, "TRIAL_STEPS", 2)
    monkeypatch.setattr(module, "RESERVE_S", 1e6)
    monkeypatch.setattr(module, "PART_BYTES", 400_000)
    monkeypatch.setattr("tinydf.data.make_pairs.PAIRS_A_SHARD", 3)
    return module


def test_what_is_packed_is_trained_on_elsewhere(script: ModuleType, tmp_path: Path) -> None:
    faces, pairs, parts, out = (tmp_path / name for name in ("faces", "pairs", "parts", "run"))
    write_drawn_faces(faces, 8)
    arguments = ["--data", str(faces), "--out", str(pairs), "--pairs", "6", "--workers", "1", "--quiet"]
    assert CliRunner().invoke(make_pairs, arguments).exit_code == 0
    packed = CliRunner().invoke(script.main, ["pack", "--data", str(faces), "--pairs", str(pairs), "--out", str(parts)])
    assert packed.exit_code == 0, packed.output
    files = sorted(parts.iterdir())
    assert len(files) > 1 and sum(file.stat().st_size > script.PART_BYTES for file in files) <= 1
    for file in files:
        script._unpack(file, tmp_path / "unpacked")
    for shard in pairs.glob("*.npy"):
        np.testing.assert_array_equal(np.load(tmp_path / "unpacked" / "pairs" / shard.name), np.load(shard))

    options = ["--parts", str(parts), "--out", str(out), "--minutes", "30", "--batch-pairs", "2", "--device", "cpu"]
    recipe = ["--part", "residual", "--patch-px", "64", "--workers", "0", "--quiet"]
    trained = CliRunner().invoke(script.main, ["train", *options, "--", *recipe])
    assert trained.exit_code == 0, trained.output
    record = load_checkpoint(out / "tinydf.safetensors").config
    assert (record["step"], record["part"], record["pairs"]["pairs"]) == (1, "residual", 6)


def test_pairs_that_are_still_being_made_are_not_packed(script: ModuleType, tmp_path: Path) -> None:
    faces, pairs = tmp_path / "faces", tmp_path / "pairs"
    write_drawn_faces(faces, 8)
    arguments = ["--data", str(faces), "--out", str(pairs), "--pairs", "4", "--workers", "1", "--quiet"]
    assert CliRunner().invoke(make_pairs, arguments).exit_code == 0
    (pairs / "pairs-00001.npy").unlink()
    packed = CliRunner().invoke(
        script.main, ["pack", "--data", str(faces), "--pairs", str(pairs), "--out", str(tmp_path)]
    )
    assert packed.exit_code == 1 and "pairs-00001.npy is not there yet" in packed.output
