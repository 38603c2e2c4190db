import json
import os
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from tinydf.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from tinydf.forgery import TinyDF
from tinydf_runtime.errors import ModelFileError, UnreadableInputError
from tinydf_runtime.models.spec import ModelSpec


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    torch.manual_seed(0)
    return Checkpoint(TinyDF().state_dict(), {"steps": 3}, ModelSpec(name="tinydf", threshold=0.6))


def test_a_checkpoint_comes_back_as_it_was(checkpoint: Checkpoint, tmp_path: Path) -> None:
    save_checkpoint(checkpoint, tmp_path / "a.safetensors")
    loaded = load_checkpoint(tmp_path / "a.safetensors")
    assert loaded.config == checkpoint.config
    assert loaded.spec.threshold == 0.6
    assert len(loaded.spec.checkpoint_sha256) == 64
    assert all(torch.equal(loaded.state[name], value) for name, value in checkpoint.state.items())
    assert not loaded.build().training


def test_equal_checkpoints_are_written_as_equal_bytes(tmp_path: Path) -> None:
    path, seen = tmp_path / "one.safetensors", set()
    state = {"weight": torch.arange(5.0), "ü": torch.zeros(2, 3)}
    configs: list[dict[str, object]] = [{"steps": 3, "name": "Größe"}, {"name": "Größe", "steps": 3}]
    # The library orders metadata by chance: of eight files that leave it so, all are equal once in 128 times.
    for turn in range(8):
        save_checkpoint(Checkpoint(state, configs[turn % 2], ModelSpec(name="tinydf")), path)
        seen.add(path.read_bytes())
    assert len(seen) == 1
    with safe_open(path, framework="pt") as file:
        assert json.loads(file.metadata()["training"]) == configs[0]
        assert torch.equal(file.get_tensor("weight"), state["weight"])


def test_half_precision_halves_the_file_and_keeps_statistics(checkpoint: Checkpoint, tmp_path: Path) -> None:
    save_checkpoint(checkpoint, tmp_path / "half.safetensors", half=True)
    loaded = load_checkpoint(tmp_path / "half.safetensors")
    assert (tmp_path / "half.safetensors").stat().st_size < 12_000_000
    for name, value in checkpoint.state.items():
        assert loaded.state[name].dtype == value.dtype
        torch.testing.assert_close(loaded.state[name], value, atol=1e-4, rtol=1e-3)
        assert value.ndim > 1 or torch.equal(loaded.state[name], value)


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInputError, match="no such file"):
        load_checkpoint(tmp_path / "none.safetensors")


def test_another_network_is_refused(tmp_path: Path) -> None:
    spec = ModelSpec(name="other")
    save_checkpoint(Checkpoint({"weight": torch.zeros(3)}, {}, spec), tmp_path / "other.safetensors")
    with pytest.raises(ModelFileError, match=r"found nothing, expected \(32, 3, 3, 3\)"):
        load_checkpoint(tmp_path / "other.safetensors")


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"\x00" * 64])
def test_a_damaged_file_is_refused(content: bytes, tmp_path: Path) -> None:
    for name in ("damaged.safetensors", "damaged.pt"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ModelFileError):
            load_checkpoint(tmp_path / name)


def test_weights_without_tinydf_metadata_are_refused(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(2)}, tmp_path / "plain.safetensors")
    with pytest.raises(ModelFileError, match="is no TinyDF checkpoint"):
        load_checkpoint(tmp_path / "plain.safetensors")


class Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("trap-was-sprung",)


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"ema": Trap()}, tmp_path / "trap.pt")
    with pytest.raises(ModelFileError):
        load_checkpoint(tmp_path / "trap.pt")
    assert not (tmp_path / "trap-was-sprung").exists()
