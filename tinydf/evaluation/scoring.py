"""Checkpoint or exported model -> ``Scorer``: logits of crops."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tinydf.checkpoint import load_checkpoint
from tinydf_runtime.engines.engine import AUTO, ENGINES, Engine, check_choice, score_in_halves
from tinydf_runtime.engines.loading import open_engine
from tinydf_runtime.errors import UnavailableError, UnknownFormatError
from tinydf_runtime.io.files import sha256_of
from tinydf_runtime.models.spec import ModelSpec
from tinydf_runtime.verdict.evidence import log_odds

CHECKPOINTS = (".safetensors", ".pt")


class Scorer(Protocol):
    """A network that scores crops, wherever it computes."""

    @property
    def path(self) -> Path:
        """The file that it was read from."""

    @property
    def sha256(self) -> str:
        """SHA-256 of that file, 64 hexadecimal digits."""

    @property
    def spec(self) -> ModelSpec:
        """Metadata of the file."""

    @property
    def engine(self) -> str:
        """The library that computes."""

    @property
    def device(self) -> str:
        """Where it computes."""

    def logits(self, crops: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Returns N logits, already divided by the spec's temperature: their sigmoid is the fake probability.

        Args:
            crops: N x side x side x 3, RGB, uint8.
        """


@dataclass(frozen=True, slots=True)
class CheckpointScorer:
    """A checkpoint in PyTorch; see ``Scorer``."""

    path: Path
    sha256: str
    spec: ModelSpec
    device: str
    network: nn.Module
    engine: str = "torch"

    def logits(self, crops: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Returns N logits of N x side x side x 3 RGB uint8 crops."""
        with torch.inference_mode():
            # The planes stay interleaved as they are, which is the layout that convolutions are fastest in.
            images = torch.from_numpy(crops).to(self.device).permute(0, 3, 1, 2).float()
            logit = self.network(images)[0].double().cpu().numpy()
        scaled: NDArray[np.float64] = logit / self.spec.temperature
        return scaled


@dataclass(frozen=True, slots=True)
class EngineScorer:
    """An exported model in the runtime's engine; see ``Scorer``."""

    path: Path
    sha256: str
    loaded: Engine

    @property
    def spec(self) -> ModelSpec:
        """Metadata of the model file."""
        return self.loaded.spec

    @property
    def engine(self) -> str:
        """The engine's library."""
        return self.loaded.name

    @property
    def device(self) -> str:
        """Where the engine computes."""
        return self.loaded.device

    def logits(self, crops: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Returns N logits of N x side x side x 3 RGB uint8 crops."""
        return log_odds(score_in_halves(self.loaded.score, crops).fake_probability.astype(np.float64))


def open_scorer(path: Path, device: str = AUTO, threads: int | None = None) -> Scorer:
    """Loads a model by its ending: a checkpoint in PyTorch, everything else in the runtime's engine for it.

    Args:
        path: ``.safetensors``, a training state ``.pt``, or an exported model.
        device: "cpu" or "cuda", or "auto" for what the engine is made for, and the CPU for a checkpoint.
        threads: Threads on the CPU, None for the library's own choice.

    Raises:
        UnknownFormatError: Neither a checkpoint nor an exported model ends so.
        UnreadableInputError: The file is missing.
        ModelFileError: The file is damaged or of another network.
        UnavailableError: The device is not there.
    """
    if path.suffix.lower() not in (*CHECKPOINTS, *ENGINES):
        expected = ", ".join((*CHECKPOINTS, *ENGINES))
        raise UnknownFormatError(f"{path.name}: expected a model that ends in one of {expected}.")
    sha256 = sha256_of(path)
    if path.suffix.lower() in ENGINES:
        return EngineScorer(path, sha256, open_engine(path, device, threads))
    device = "cpu" if device == AUTO else device
    check_choice("device", device, ("cpu", "cuda"))
    if device == "cuda" and not torch.cuda.is_available():
        raise UnavailableError("cuda: not available to PyTorch on this machine. Use the CPU.")
    if threads is not None:
        torch.set_num_threads(threads)
    checkpoint = load_checkpoint(path)
    network = checkpoint.build_network().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return CheckpointScorer(path, sha256, checkpoint.spec, device, network)
