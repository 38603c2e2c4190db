"""The training loop, visible in one piece."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import lightning_fabric
import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, update_bn
from torch.utils.data import DataLoader

from tinydf.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from tinydf.data.dataset import Batch, FixedPairs, PairSeries, collate
from tinydf.data.families.blending import Forger
from tinydf.data.families.table import Mixture
from tinydf.data.photos import Photo
from tinydf.forgery import TinyDF
from tinydf.metrics import auc
from tinydf.pretrained import fetch_imagenet_weights, is_backbone_file, load_backbone
from tinydf_runtime.crop import CropRecipe
from tinydf_runtime.errors import OutputError, UsageError
from tinydf_runtime.files import sha256_of, write_atomically
from tinydf_runtime.spec import ModelSpec

STATE_NAME = "state.pt"
MODEL_NAME = "tinydf.safetensors"
STATISTICS_BATCHES = 50
Origin: TypeAlias = dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """What makes a run; recorded in its checkpoint.

    Attributes:
        seed: Seed of initial weights and of every sample.
        steps: Optimiser steps.
        batch_pairs: Real-forged pairs in a step, over all processes.
        patch_px: Side of the window of each 224 px crop that is trained on; a multiple of 32.
        learning_rate: Peak of the cosine schedule.
        weight_decay: Of AdamW, for weights alone.
        warmup_share: Share of the steps over which the learning rate rises.
        easy_share: Share of the pairs over which the forgeries grow from coarse to subtle.
        ema_decay: Of the averaged weights, which are the ones kept.
        map_weight: Weight of the forgery map's loss against the verdict's.
        validate_every: Steps between two validations, each followed by a saved state.
        precision: Fabric's name, such as 32-true or bf16-mixed.
        without: Families of forgeries to leave out, see ``data/families/table.py``.
    """

    seed: int = 0
    steps: int = 20_000
    batch_pairs: int = 32
    patch_px: int = 224
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup_share: float = 0.03
    easy_share: float = 0.3
    ema_decay: float = 0.999
    map_weight: float = 1.0
    validate_every: int = 500
    precision: str = "32-true"
    without: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.patch_px % 32:
            raise UsageError(f"patches of {self.patch_px} px: must be a multiple of 32, which the network shrinks by.")


@dataclass(frozen=True, slots=True)
class StepReport:
    """What a caller may show after a step; ``validation_auc`` is that of the last validation."""

    step: int
    steps: int
    loss: float
    validation_auc: float | None


def train(
    config: TrainConfig,
    training: list[Photo],
    validation: list[Photo],
    out: Path,
    *,
    fabric: Fabric,
    init: str = "none",
    resume: bool = False,
    workers: int = 1,
    report: Callable[[StepReport], None] = lambda progress: None,
) -> Path:
    """Trains TinyDF on photos of real faces and forgeries made from them.

    Args:
        config: The recipe.
        training: Photos to learn from.
        validation: Photos of other people, for the AUC along the way.
        out: Folder of the run: the state to resume from and the resulting checkpoint.
        fabric: Devices and precision; already launched.
        init: See ``initial_network``.
        resume: Goes on from the state in ``out``, with its weights, optimiser and place in the series.
        workers: Processes that make samples, on each rank.
        report: Called after each step on the first rank.

    Returns:
        The path of the checkpoint with the averaged weights.

    Raises:
        UsageError: The batch does not divide over the processes, or the state is another run's.
        OutputError: The folder or a file in it cannot be written.
    """
    if config.batch_pairs % fabric.world_size:
        raise UsageError(f"batch of {config.batch_pairs} pairs: must divide over {fabric.world_size} processes.")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{out}: cannot be made ({error.strerror}). Choose another folder for the run.") from error
    # A forked worker would wait for ever for OpenCV threads that its parent, this process, had started.
    cv2.setNumThreads(1)
    lightning_fabric.seed_everything(config.seed, verbose=False)
    raw, origin = initial_network(init)
    raw.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks the keyword
    model, optimizer = fabric.setup(raw, torch.optim.AdamW(_decay_groups(raw, config), lr=config.learning_rate))
    # Batch statistics are copied, not averaged: they start so far off that their average would take long to recover.
    average = AveragedModel(raw, avg_fn=partial(moving_average, decay=config.ema_decay))
    start, validation_auc = 0, None
    if resume:
        start, validation_auc = _load_state(out / STATE_NAME, config, raw, average, optimizer)

    forge = Mixture(training, config.without)
    batches = _batches(config, training, forge, start, fabric, workers)
    fixed = DataLoader(
        FixedPairs(validation, config.seed, Mixture(validation)),
        config.batch_pairs,
        collate_fn=collate,
        num_workers=workers,
    )
    model.train()
    for step, (images, labels, maps) in enumerate(batches, start + 1):
        # Dropout too depends on seed and step alone.
        torch.manual_seed(config.seed + step)
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * learning_rate_factor(step, config)
        logits, map_logits = model(images.float().contiguous(memory_format=torch.channels_last))
        loss = forgery_loss(logits, map_logits, labels, maps, config.map_weight)
        fabric.backward(loss)
        fabric.clip_gradients(model, optimizer, max_norm=5.0)
        optimizer.step()
        optimizer.zero_grad()
        average.update_parameters(raw)
        if step == config.steps:
            refresh_statistics(average.module, config, training, forge, fabric.device, workers)
        if step % config.validate_every == 0 or step == config.steps:
            validation_auc = auc(*score_pairs(average.module, fixed, fabric.device))
            if fabric.is_global_zero:
                record = _record(config, step, origin)
                _save_state(out / STATE_NAME, record, validation_auc, raw, average, optimizer)
            fabric.barrier()
        if fabric.is_global_zero:
            report(StepReport(step, config.steps, loss.item(), validation_auc))

    if fabric.is_global_zero:
        record = _record(config, config.steps, origin)
        save_checkpoint(Checkpoint(average.module.state_dict(), record, _spec()), out / MODEL_NAME)
    return out / MODEL_NAME


def initial_network(init: str) -> tuple[TinyDF, Origin]:
    """Returns a network with random weights (``none``), ImageNet's backbone (``imagenet``) or a file's weights.

    A file is a TinyDF checkpoint, or timm's tinynet_a weights for the backbone alone. The origin tells which it was,
    for the record: a checkpoint's own record is part of it, so that a chain of runs can be read from its last file.
    """
    if init == "none":
        return TinyDF(), None
    if init == "imagenet" or is_backbone_file(Path(init)):
        network = TinyDF()
        path = fetch_imagenet_weights() if init == "imagenet" else Path(init)
        load_backbone(network.backbone, path)
        return network, {"backbone": path.name, "sha256": sha256_of(path)}
    checkpoint = load_checkpoint(Path(init))
    return checkpoint.build(), {"checkpoint": dict(checkpoint.config), "sha256": checkpoint.spec.checkpoint_sha256}


def moving_average(average: Tensor, current: Tensor, averaged: Tensor | int, decay: float) -> Tensor:
    """Returns the next exponential average; the decay grows from 0, so that random first weights are soon forgotten."""
    return average.lerp(current, 1 - min(decay, float(averaged + 1) / float(averaged + 10)))


def refresh_statistics(
    model: nn.Module, config: TrainConfig, photos: list[Photo], forge: Forger, device: torch.device, workers: int
) -> None:
    """Measures the batch statistics anew for the averaged weights, over pairs that no step has seen.

    Those that training kept belong to weights that moved on; the average needs its own (Izmailov et al., "Averaging
    Weights Leads to Wider Optima and Better Generalization", UAI 2018, section 3.2).
    """
    length = STATISTICS_BATCHES * config.batch_pairs
    series = PairSeries(photos, config.patch_px, length, config.seed + 1, forge=forge)
    loader = DataLoader(series, config.batch_pairs, collate_fn=collate, num_workers=workers)
    update_bn((images.to(device).float() for images, _, _ in loader), model)
    model.eval()


def forgery_loss(logits: Tensor, map_logits: Tensor, labels: Tensor, maps: Tensor, map_weight: float) -> Tensor:
    """Returns binary cross-entropy of the verdict plus that of the forgery map.

    Args:
        logits: N.
        map_logits: N x h x w.
        labels: N, 1 for forged.
        maps: N x h x w, 0..1: the share of each cell that was replaced.
        map_weight: Weight of the map's part.
    """
    verdict = functional.binary_cross_entropy_with_logits(logits.float(), labels)
    where = functional.binary_cross_entropy_with_logits(map_logits.float(), maps)
    return verdict + map_weight * where


def learning_rate_factor(step: int, config: TrainConfig) -> float:
    """Returns the share of the peak learning rate at a step: linear warm-up, then half a cosine."""
    warmup = max(1, round(config.steps * config.warmup_share))
    if step <= warmup:
        return step / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, config.steps - warmup)))


@torch.inference_mode()
def score_pairs(
    model: nn.Module, pairs: DataLoader[Any], device: torch.device
) -> tuple[np.ndarray[Any, np.dtype[np.float64]], np.ndarray[Any, np.dtype[np.float64]]]:
    """Returns the logits of the real and of the forged crops, N each, in the order of ``pairs``."""
    was_training = model.training
    model.eval()
    real, fake = [], []
    for images, labels, _ in pairs:
        logits = model(images.to(device).float().contiguous(memory_format=torch.channels_last))[0].double().cpu()
        real.append(logits[labels == 0].numpy())
        fake.append(logits[labels == 1].numpy())
    model.train(was_training)
    return np.concatenate(real), np.concatenate(fake)


def _batches(
    config: TrainConfig, photos: list[Photo], forge: Forger, start: int, fabric: Fabric, workers: int
) -> Iterable[Batch]:
    length = config.steps * config.batch_pairs
    series = PairSeries(photos, config.patch_px, length, config.seed, round(length * config.easy_share), forge)
    # Ranks take turns within each batch, so that the run sees the same pairs on any number of processes.
    own = range(start * config.batch_pairs + fabric.global_rank, length, fabric.world_size)
    loader = DataLoader(
        series,
        config.batch_pairs // fabric.world_size,
        sampler=own,
        collate_fn=collate,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        pin_memory=fabric.device.type == "cuda",
    )
    placed: Iterable[Batch] = fabric.setup_dataloaders(loader, use_distributed_sampler=False)  # type: ignore[assignment]
    return placed


def _decay_groups(model: nn.Module, config: TrainConfig) -> list[dict[str, Any]]:
    # Gains and biases are not decayed: shrinking them does not simplify what the network computes.
    weights = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in model.parameters() if parameter.ndim <= 1]
    return [{"params": weights, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]


def _record(config: TrainConfig, step: int, origin: Origin) -> dict[str, Any]:
    return asdict(config) | {"step": step, "started_from": origin}


def _spec() -> ModelSpec:
    versions = {"torch": torch.__version__, "lightning-fabric": version("lightning-fabric")}
    return ModelSpec(name="tinydf", crop=CropRecipe(), versions=versions)


def _save_state(
    path: Path,
    record: dict[str, Any],
    validation_auc: float,
    raw: nn.Module,
    average: AveragedModel,
    optimizer: Any,
) -> None:
    state = {
        "config": json.dumps(record),
        "spec": _spec().to_json(),
        "validation_auc": validation_auc,
        "model": raw.state_dict(),
        "ema": average.module.state_dict(),
        "averaged": average.n_averaged,
        "optimizer": optimizer.state_dict(),
    }
    write_atomically(path, lambda file: torch.save(state, file))


def _load_state(
    path: Path, config: TrainConfig, raw: nn.Module, average: AveragedModel, optimizer: Any
) -> tuple[int, float | None]:
    if not path.is_file():
        raise UsageError(f"{path}: no state to resume from. Start the run without --resume.")
    state = torch.load(path, map_location="cpu", weights_only=True)
    record = json.loads(state["config"])
    if {name: record[name] for name in asdict(config)} != asdict(config):
        raise UsageError(f"{path}: was written by a run with other settings. Resume with the settings of that run.")
    raw.load_state_dict(state["model"])
    average.module.load_state_dict(state["ema"])
    average.n_averaged.copy_(state["averaged"])
    optimizer.load_state_dict(state["optimizer"])
    return int(record["step"]), state["validation_auc"]
