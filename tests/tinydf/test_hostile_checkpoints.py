"""Checkpoints from strangers: refused in one line, before a network is built of them."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any
from warnings import catch_warnings, simplefilter
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tinydf import checkpoint
from tinydf.baselines import build_network
from tinydf.checkpoint import CONFIG_KEY, load_checkpoint
from tinydf.facedetector.model import FaceDetectorNet
from tinydf.facedetector.weights import HEADER_KEY, load_detector
from tinydf_runtime.errors import ModelFileError
from tinydf_runtime.models.spec import METADATA_KEY, ModelSpec

SPEC = json.loads(ModelSpec(name="tiny").to_json())
FACTS: dict[str, Any] = {
    "schema": "tinydf.facedetector/1",
    "name": "small",
    "score_threshold": 0.5,
    "nms_iou": 0.4,
    "network": {"stem_channels": 4, "early_channels": 4, "channels": 4},
}


@pytest.fixture(scope="module")
def small() -> dict[str, Tensor]:
    """Weights of the smallest network that a checkpoint may be of."""
    return dict(build_network("meso4").state_dict())


@pytest.fixture(scope="module")
def faces() -> dict[str, Tensor]:
    return dict(FaceDetectorNet(**FACTS["network"]).state_dict())


def test_devices_bare_pickles_and_bombs_are_refused_before_they_are_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for ending in ("pt", "safetensors"):
        (zero := tmp_path / f"zero.{ending}").symlink_to("/dev/zero")
        refusal(zero, load_checkpoint)
    torch.save(torch.zeros(3), tensor := tmp_path / "tensor.pt")
    refusal(tensor, load_checkpoint)
    (bare := tmp_path / "bare.pt").write_bytes(pickle.dumps({"ema": {}}))
    refusal(bare, load_checkpoint)
    monkeypatch.setattr(checkpoint, "MOST_BYTES", 1 << 20)
    with ZipFile(bomb := tmp_path / "bomb.pt", "w", ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/0", bytes(2 << 20))
    assert bomb.stat().st_size < 10_000
    with pytest.raises(ModelFileError, match="holds 2,097,152 bytes"):
        load_checkpoint(bomb)


def refusal(path: Path, use: Any) -> None:
    with catch_warnings(record=True) as warned, pytest.raises(ModelFileError) as caught:
        simplefilter("always")
        use(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600
    assert not warned, "more than one line"


def spoiled(state: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    """Returns weights that are no weights."""
    first = next(name for name, value in state.items() if value.is_floating_point())
    counter = next(name for name, value in state.items() if not value.is_floating_point())
    variance = next(name for name in state if name.endswith("running_var"))
    return [
        state | {first: torch.full_like(state[first], value)} for value in (float("nan"), float("inf"), -float("inf"))
    ] + [
        state | {variance: -torch.ones_like(state[variance])},
        state | {first: state[first].to(torch.int32)},
        state | {first: state[first].to(torch.complex64)},
        state | {counter: state[counter].float()},
        state | {first: state[first].flatten()[:1]},
        {name: value for name, value in state.items() if name != first},
        state | {"more": torch.zeros(1)},
    ]


def test_weights_that_are_no_finite_numbers_are_refused(small: dict[str, Tensor], tmp_path: Path) -> None:
    header = {METADATA_KEY: json.dumps(SPEC), CONFIG_KEY: json.dumps({"network": "meso4"})}
    save_file(small, path := tmp_path / "c.safetensors", header)
    assert load_checkpoint(path).network == "meso4"
    for state in spoiled(small):
        save_file(state, path, header)
        refusal(path, load_checkpoint)
        torch.save({"ema": state, "config": header[CONFIG_KEY], "spec": header[METADATA_KEY]}, tmp_path / "c.pt")
        refusal(tmp_path / "c.pt", load_checkpoint)


@pytest.mark.parametrize(
    "config",
    [
        {"network": "meso4", "width": float("nan")},
        {"width": 1e9},
        {"width": "wide"},
        {"width": -1},
        {"network": 5},
        {"network": "../meso4"},
        ["meso4"],
        None,
    ],
    ids=range(8),
)
def test_a_configuration_of_another_type_or_out_of_range_is_refused(
    config: Any, small: dict[str, Tensor], tmp_path: Path
) -> None:
    save_file(
        small, path := tmp_path / "c.safetensors", {METADATA_KEY: json.dumps(SPEC), CONFIG_KEY: json.dumps(config)}
    )
    refusal(path, load_checkpoint)


@pytest.mark.parametrize(
    "values",
    [
        None,
        [],
        {"ema": None, "config": "{}", "spec": json.dumps(SPEC)},
        {"ema": [1], "config": "{}", "spec": json.dumps(SPEC)},
        {"ema": {"a": 1}, "config": "{}", "spec": json.dumps(SPEC)},
        {"ema": {5: torch.zeros(1)}, "config": "{}", "spec": json.dumps(SPEC)},
        {"ema": {}, "config": 5, "spec": json.dumps(SPEC)},
        {"ema": {}, "config": "{}", "spec": None},
        {"ema": {}, "config": "[" * 100_000, "spec": json.dumps(SPEC)},
        {"ema": {}, "config": "{}", "spec": json.dumps(SPEC | {"threshold": 7})},
    ],
    ids=range(10),
)
def test_a_training_state_of_other_parts_is_refused(values: Any, tmp_path: Path) -> None:
    torch.save(values, tmp_path / "c.pt")
    refusal(tmp_path / "c.pt", load_checkpoint)


def test_a_detectors_weights_that_are_no_finite_numbers_are_refused(faces: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "d.safetensors"
    save_file(faces, path, {HEADER_KEY: json.dumps(FACTS)})
    assert load_detector(path).facts["name"] == "small"
    for state in spoiled(faces):
        save_file(state, path, {HEADER_KEY: json.dumps(FACTS)})
        refusal(path, load_detector)


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 5},
        {"name": None},
        {"score_threshold": 7},
        {"score_threshold": float("nan")},
        {"nms_iou": "0.4"},
        {"network": {"channels": 10**9}},
        {"network": {"channels": -4}},
        {"network": {"depth": 4}},
        {"network": [4]},
        {"training": "[" * 20_000},
    ],
    ids=range(10),
)
def test_a_detectors_facts_of_another_type_or_out_of_range_are_refused(
    change: dict[str, Any], faces: dict[str, Tensor], tmp_path: Path
) -> None:
    save_file(faces, path := tmp_path / "d.safetensors", {HEADER_KEY: json.dumps(FACTS | change)})
    refusal(path, load_detector)


@pytest.mark.parametrize("name", ["c.safetensors", "c.pt"])
def test_bytes_that_are_no_checkpoint_are_refused(name: str, small: dict[str, Tensor], tmp_path: Path) -> None:
    save_file(small, tmp_path / "whole.safetensors", {METADATA_KEY: json.dumps(SPEC), CONFIG_KEY: "{}"})
    whole = (tmp_path / "whole.safetensors").read_bytes()
    path = tmp_path / name
    for content in (
        b"",
        b"\xff" * 99,
        whole[:7],
        whole[:99],
        whole[:-1],
        b"\xff" * 8 + whole[8:],
        b"PK\x03\x04" + whole,
    ):
        path.write_bytes(content)
        refusal(path, load_checkpoint)
    with path.open("wb") as file:
        file.truncate(1 << 40)
    refusal(path, load_checkpoint)
