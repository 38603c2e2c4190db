"""State of a detector's training run <-> a file, without pickle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from tinydf.facedetector.model import FaceDetectorNet
from tinydf_runtime.errors import ModelFileError


@dataclass(slots=True)
class Run:
    """An unfinished run.

    Attributes:
        network: Being trained.
        averaged: Moving average of ``network``.
        optimizer: Of ``network``.
        step: Steps done.
        best_merit: Of the weights kept so far.
        seconds: Spent so far, in all sittings.
    """

    network: FaceDetectorNet
    averaged: FaceDetectorNet
    optimizer: torch.optim.AdamW
    step: int = 0
    best_merit: float = float("-inf")
    seconds: float = 0.0


def state_bytes(run: Run) -> bytes:
    """Returns everything that a resumed run needs, without pickle."""
    tensors = {f"network.{name}": tensor for name, tensor in run.network.state_dict().items()}
    tensors |= {f"averaged.{name}": tensor for name, tensor in run.averaged.state_dict().items()}
    for index, values in run.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": tensor for name, tensor in values.items()}
    header = {"step": str(run.step), "best_merit": repr(run.best_merit), "seconds": repr(run.seconds)}
    return save({name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}, header)


def load_state(run: Run, path: Path) -> None:
    """Restores a run from its file.

    Raises:
        ModelFileError: The file is damaged or of another network.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            header = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        for prefix, network in (("network.", run.network), ("averaged.", run.averaged)):
            own = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
            network.load_state_dict(own)
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith("optimizer."):
                _, index, key = name.split(".")
                moments.setdefault(int(index), {})[key] = tensor
        run.optimizer.load_state_dict(run.optimizer.state_dict() | {"state": moments})
        run.step, run.best_merit = int(header["step"]), float(header["best_merit"])
        run.seconds = float(header["seconds"])
    except (SafetensorError, OSError, KeyError, ValueError, RuntimeError) as error:
        raise ModelFileError(
            f"{path}: not the state of a detector's training ({error!r}). Start without --resume."
        ) from error
