"""The detector's checkpoint: safetensors with a JSON description in its header."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from tinydf.checkpoint import can_be_computed_with
from tinydf.facedetector.model import FaceDetectorNet
from tinydf_runtime.errors import ModelFileError, UnreadableInputError, one_line
from tinydf_runtime.io.files import write_atomically
from tinydf_runtime.trust import strict

HEADER_KEY = "tinydf.facedetector"
SCHEMA = "tinydf.facedetector/1"
MOST_FACTS = 1 << 20
MOST_CHANNELS = 1024
SHIPPED = Path(__file__).parent.parent / "weights" / "facedetector.safetensors"


@dataclass(frozen=True, slots=True)
class DetectorCheckpoint:
    """A trained detector.

    Attributes:
        network: In evaluation mode, on the CPU.
        facts: How it came about and is used: ``name``, ``score_threshold``, ``nms_iou``, ``training``, ``validation``.
        sha256: Of the file, empty where it does not come from one.
    """

    network: FaceDetectorNet
    facts: dict[str, Any]
    sha256: str = ""


def save_detector(state: dict[str, Tensor], facts: dict[str, Any], path: Path) -> None:
    """Writes a checkpoint, whole or not at all.

    Raises:
        OutputError: The file could not be written.
    """
    header = {HEADER_KEY: json.dumps({"schema": SCHEMA, **facts}, sort_keys=True)}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    write_atomically(path, save(tensors, header))


def load_detector(path: Path | None = None) -> DetectorCheckpoint:
    """Reads a checkpoint.

    Args:
        path: None for the shipped one.

    Raises:
        UnreadableInputError: The file is missing.
        ModelFileError: The file is damaged or no detector of this version.
    """
    path = SHIPPED if path is None else path
    if not path.is_file():
        raise UnreadableInputError(f"{path}: no such file. Train one with tinydf-train-detector.")
    try:
        with safe_open(str(path), framework="pt") as file:
            header = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        facts = _read_facts(header[HEADER_KEY], path)
        network = FaceDetectorNet(**facts["network"])
        expected = network.state_dict()
        broken = next(
            (name for name in state if name in expected and not _fits(name, state[name], expected[name])), None
        )
        if broken is None:
            network.load_state_dict(state)
    except ModelFileError:
        raise
    except (SafetensorError, LookupError, ValueError, TypeError, AttributeError, RuntimeError, OSError) as error:
        reason = one_line(error, 200)
        raise ModelFileError(
            f"{path}: no face detector of this version ({reason}). Train or download it again."
        ) from error
    if broken is not None:
        raise ModelFileError(
            f"{path}: {broken}: holds what is no finite number of its type. Train or download it again."
        )
    return DetectorCheckpoint(
        network.eval().requires_grad_(False), facts, hashlib.sha256(path.read_bytes()).hexdigest()
    )


def _read_facts(text: str, path: Path) -> dict[str, Any]:
    """Returns how a detector came about and is used.

    Raises:
        ModelFileError: They are of another schema.
        strict.StrictError: They are of another type or out of range.
    """
    facts: dict[str, Any] = strict.plain(strict.mapping(strict.parse(text, MOST_FACTS), 100))
    if facts.get("schema") != SCHEMA:
        raise ModelFileError(
            f"{path}: schema {strict.brief(facts.get('schema'))}, expected {SCHEMA}. Update TinyDF or the file."
        )
    strict.text(facts.get("name"))
    strict.finite(facts.get("score_threshold"), 0.01, 1)
    strict.finite(facts.get("nms_iou"), 0, 1)
    for channels in strict.mapping(facts.get("network"), 3).values():
        strict.whole(channels, 1, MOST_CHANNELS)
    return facts


def _fits(name: str, value: Tensor, expected: Tensor) -> bool:
    """Returns whether a tensor is of the kind that is expected, and finite."""
    return value.is_floating_point() == expected.is_floating_point() and can_be_computed_with(name, value)


def copy_state(network: torch.nn.Module) -> dict[str, Tensor]:
    """Returns a copy of a network's parameters and buffers that later steps do not change."""
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
