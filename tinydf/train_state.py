"""State of a run: what is saved and resumed to the bit, how often, and what Ctrl-C does."""

from __future__ import annotations

import json
import signal
import threading
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from tinydf.data.shards import PairPlan
from tinydf.train_config import TrainConfig
from tinydf_runtime.errors import ModelFileError, UsageError, one_line
from tinydf_runtime.faces.crop import CropConfig
from tinydf_runtime.io.files import write_atomically
from tinydf_runtime.models.spec import ModelSpec

STATE_NAME = "state.pt"
SAVE_EVERY_S = 180.0
Origin: TypeAlias = dict[str, Any] | None
DROPPED = {"hard_share": 1.0, "sam_radius": 0.0, "mixup_share": 0.0}
"""Settings that former versions had, and the values with which a run trained as one does without them."""


def run_record(config: TrainConfig, step: int, origin: Origin, pairs: PairPlan | None) -> dict[str, Any]:
    """Returns what a checkpoint says about its training.

    Args:
        config: The run.
        step: Steps taken.
        origin: What it started from.
        pairs: What it learned from, where that was made beforehand.
    """
    return asdict(config) | {"step": step, "started_from": origin} | _pairs(pairs)


def uncalibrated_spec(name: str = "tinydf") -> ModelSpec:
    """Returns the spec of a network whose temperature and threshold have not been fitted."""
    versions = {"torch": torch.__version__, "lightning-fabric": version("lightning-fabric")}
    return ModelSpec(name=name, crop=CropConfig(), versions=versions)


def save_state(
    path: Path,
    record: dict[str, Any],
    validation_auc: float | None,
    raw: nn.Module,
    average: AveragedModel,
    optimizer: Any,
) -> None:
    """Writes weights, averages and optimiser, whole or not at all; the file is a checkpoint too.

    Raises:
        OutputError: The file cannot be written.
    """
    state = {
        "config": json.dumps(record),
        "spec": uncalibrated_spec(record["network"]).to_json(),
        "validation_auc": validation_auc,
        "model": raw.state_dict(),
        "ema": average.module.state_dict(),
        "averaged": average.n_averaged,
        "optimizer": optimizer.state_dict(),
    }
    write_atomically(path, lambda file: torch.save(state, file))


def load_state(
    path: Path, config: TrainConfig, pairs: PairPlan | None, raw: nn.Module, average: AveragedModel, optimizer: Any
) -> tuple[int, float | None]:
    """Fills weights, averages and optimiser from a state; returns its step and its validation AUC.

    Raises:
        UsageError: There is no state, or it is that of a run with other settings or other pairs.
        ModelFileError: It is damaged.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no state to resume from. Start the run without --resume.")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        # Settings that an older version did not have are at their defaults.
        record = asdict(TrainConfig()) | DROPPED | {"pairs": None} | json.loads(state["config"])
    # A damaged archive or pickle raises almost anything.
    except Exception as error:
        reason = one_line(error, 200)
        raise ModelFileError(f"{path}: is no training state ({reason}). Start the run without --resume.") from error
    asked = asdict(config) | DROPPED | _pairs(pairs)
    if {name: record[name] for name in asked} != asked:
        raise UsageError(f"{path}: was written by a run with other settings. Resume with the settings of that run.")
    try:
        raw.load_state_dict(state["model"])
        average.module.load_state_dict(state["ema"])
        average.n_averaged.copy_(state["averaged"])
        optimizer.load_state_dict(state["optimizer"])
        return int(record["step"]), state["validation_auc"]
    except (RuntimeError, LookupError, ValueError, TypeError, AttributeError) as error:
        reason = one_line(error, 200)
        raise ModelFileError(f"{path}: is no training state of this network ({reason}).") from error


def _pairs(plan: PairPlan | None) -> dict[str, Any]:
    return {"pairs": None if plan is None else asdict(plan)}


class Clock:
    """Hours trained, and when the state was saved last."""

    def __init__(self, hours_before: float) -> None:
        self._began_s = time.monotonic() - hours_before * 3600
        self._saved_s = time.monotonic()

    def hours(self) -> float:
        """Returns the hours trained, earlier sessions included."""
        return (time.monotonic() - self._began_s) / 3600

    def saved(self) -> None:
        """Restarts the wait for the next save."""
        self._saved_s = time.monotonic()

    def save_is_due(self) -> bool:
        """Returns whether the state is older than ``SAVE_EVERY_S``."""
        return time.monotonic() - self._saved_s > SAVE_EVERY_S


class Interrupts:
    """Notes the first Ctrl-C, so that a step is finished and saved before the run ends; the second one ends it."""

    def __init__(self) -> None:
        self.seen = False

    def __enter__(self) -> Interrupts:
        self._before: Any = None
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _note(self, number: int, frame: object) -> None:
        if self.seen:
            raise KeyboardInterrupt
        self.seen = True
