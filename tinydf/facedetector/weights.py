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

from tinydf.facedetector.model import FaceDetectorNet
from tinydf_runtime.errors import ModelFileError, UnreadableInputError
from tinydf_runtime.io.files import write_atomically

HEADER_KEY = "tinydf.facedetector"
SCHEMA = "tinydf.facedetector/1"
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
        facts: dict[str, Any] = json.loads(header[HEADER_KEY])
        if facts["schema"] != SCHEMA:
            raise ModelFileError(f"{path}: schema {facts['schema']}, expected {SCHEMA}. Update TinyDF or the file.")
        network = FaceDetectorNet(**facts["network"])
        network.load_state_dict(state)
    except ModelFileError:
        raise
    except (SafetensorError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise ModelFileError(
            f"{path}: no face detector of this version ({error!r}). Train or download it again."
        ) from error
    return DetectorCheckpoint(
        network.eval().requires_grad_(False), facts, hashlib.sha256(path.read_bytes()).hexdigest()
    )


def copy_state(network: torch.nn.Module) -> dict[str, Tensor]:
    """Returns a copy of a network's parameters and buffers that later steps do not change."""
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
