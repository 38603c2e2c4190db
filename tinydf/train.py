"""The training loop, visible in one piece."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import lightning_fabric
import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, update_bn

from tinydf.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from tinydf.data.dataset import MAP_CELL_PX, Batch
from tinydf.data.loading import check_each, pair_loader
from tinydf.data.photos import Photo
from tinydf.data.series import training_pairs, validation_pairs
from tinydf.data.shards import read_plan
from tinydf.data.skipped import Skipped
from tinydf.forgery import TinyDF
from tinydf.forgery.model import RGBBranch
from tinydf.forgery_loss import distillation_loss, forgery_loss
from tinydf.history import HistoryRow, read_history, write_history
from tinydf.initial import initial_network
from tinydf.metrics import auc, fit_temperature, threshold_at_fpr
from tinydf.synchronised_norm import synchronise_norms
from tinydf.train_config import Part, TrainConfig
from tinydf.train_state import STATE_NAME, load_state, run_record, save_state, uncalibrated_spec
from tinydf.twins import training_mode_aucs, twins_apart
from tinydf_runtime.errors import OutputError, UsageError
from tinydf_runtime.models.spec import ModelSpec

MODEL_NAME = "tinydf.safetensors"
BEST_NAME = "best.safetensors"
"""The averaged weights of the best validation so far; their batch statistics are those of training."""
SKIPPED_NAME = "skipped.txt"
"""A line a picture that could not be read."""
STATISTICS_BATCHES = 50
LEAK_BATCHES = 12
"""Validation batches on which training mode and evaluation mode are compared."""
SAVE_EVERY_S = 180.0
VALIDATION_FPR = 0.1
Logits: TypeAlias = NDArray[np.float64]


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
    teacher: Path | None = None,
    pairs: Path | None = None,
    resume: bool = False,
    workers: int = 1,
    report: Callable[[StepReport], None] = lambda progress: None,
) -> Path:
    """Trains a network on real faces and forgeries made from them, on a prepared set's forgeries, or on both.

    A picture that cannot be read is left out and named in ``out/skipped.txt``; another one takes its place.

    Args:
        config: The recipe.
        training: Pictures to learn from; none are needed with ``pairs``.
        validation: Pictures of other people, for the AUC along the way and the operating point at the end.
        out: Folder of the run: the state to resume from and the resulting checkpoint.
        fabric: Devices and precision; already launched.
        init: See ``initial_network``.
        teacher: Checkpoint of a network, perhaps a wider one, to agree with.
        pairs: Folder that ``tinydf-make-pairs`` writes, or has written: what to learn from in place of ``training``.
        resume: Goes on from the state in ``out``, with its weights, optimiser and place in the series.
        workers: Processes that make samples, on each rank.
        report: Called after each step on the first rank.

    Returns:
        The path of the checkpoint with the averaged weights.

    Raises:
        UsageError: The batch does not divide over the processes, the pictures are not what the method needs, or the
            state is another run's.
        UnreadableInputError: Picture after picture cannot be read, or ``pairs`` is no folder of pairs or damaged.
        UnavailableError: A pair is not there, and for a long time nothing has been written to ``pairs``.
        OutputError: The folder or a file in it cannot be written.
    """
    if config.batch_pairs % (2 * fabric.world_size):
        raise UsageError(
            f"batch of {config.batch_pairs} pairs: must be an even number of pairs on each of {fabric.world_size} "
            "processes."
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{out}: cannot be made ({error.strerror}). Choose another folder for the run.") from error
    # A forked worker would wait for ever for OpenCV threads that its parent, this process, had started.
    cv2.setNumThreads(1)
    lightning_fabric.seed_everything(config.seed, verbose=False)
    raw, origin = initial_network(init, config.network, config.width)
    raw.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks the keyword
    if fabric.world_size > 1:
        synchronise_norms(raw, fabric.device)
    learner = part_of(raw, config.part)
    optimizer = torch.optim.AdamW(_decay_groups(learner, config), lr=config.learning_rate)
    model, optimizer = fabric.setup(learner, optimizer)
    plan = None if pairs is None else read_plan(pairs)[0]
    # Batch statistics are copied, not averaged: they start so far off that their average would take long to recover.
    average = AveragedModel(raw, avg_fn=partial(moving_average, decay=config.ema_decay))
    start, validation_auc = 0, None
    if resume:
        start, validation_auc = load_state(out / STATE_NAME, config, plan, raw, average, optimizer)
    elif fabric.is_global_zero:
        (out / SKIPPED_NAME).unlink(missing_ok=True)
    fabric.barrier()
    source = _Source(training, pairs, Skipped(out / SKIPPED_NAME), fabric, workers)
    history = read_history(out) if resume else []
    batches = source.batches(config, start)
    # Made once: they are the same each time.
    unchanging = validation_pairs(config, validation, source.skipped)
    fixed = list(check_each(pair_loader(unchanging, config.batch_pairs, workers)))
    oracle = None if teacher is None else load_checkpoint(teacher).build().to(fabric.device)
    averaged = part_of(average.module, config.part)
    spec = uncalibrated_spec(config.network)
    clock = _Clock(history[-1].hours if history else 0.0)
    losses: list[float] = []

    def record(step: int) -> dict[str, Any]:
        return run_record(config, step, origin, plan)

    def save(step: int) -> None:
        if fabric.is_global_zero:
            save_state(out / STATE_NAME, record(step), validation_auc, raw, average, optimizer)
        fabric.barrier()
        clock.saved()

    model.train()
    with _Interrupts() as interrupts:
        for step, batch in enumerate(batches, start + 1):
            # Dropout and mixing too depend on seed and step alone.
            torch.manual_seed(config.seed + step)
            rate = config.learning_rate * learning_rate_factor(step, config)
            for group in optimizer.param_groups:
                group["lr"] = rate
            side_px = config.side_px(step)
            loss = _step(fabric, model, optimizer, at_size(batch, side_px), config, oracle)
            average.update_parameters(raw)
            losses.append(torch.as_tensor(fabric.all_reduce(loss)).item())
            if step == config.steps:
                refresh_statistics(averaged, config, source)
            if step % config.validate_every == 0 or step == config.steps:
                sized = [at_size(batch, side_px) for batch in fixed]
                real, fake = score_pairs(averaged, sized, fabric.device)
                validation_auc, spec = auc(real, fake), calibrated(spec, real, fake)
                together, apart = training_mode_aucs(learner, sized[:LEAK_BATCHES])
                del sized
                row = HistoryRow(step, clock.hours(), rate, float(np.mean(losses)), validation_auc, apart, together)
                losses.clear()
                best = validation_auc > max((earlier.auc for earlier in history), default=0.0)
                history.append(row)
                if fabric.is_global_zero:
                    write_history(out, history)
                    if best:
                        save_checkpoint(Checkpoint(average.module.state_dict(), record(step), spec), out / BEST_NAME)
                save(step)
            elif clock.save_is_due() or interrupts.seen:
                save(step)
            if fabric.is_global_zero:
                report(StepReport(step, config.steps, losses[-1] if losses else history[-1].loss, validation_auc))
            if interrupts.seen and step < config.steps:
                raise KeyboardInterrupt

    if fabric.is_global_zero:
        save_checkpoint(Checkpoint(average.module.state_dict(), record(config.steps), spec), out / MODEL_NAME)
    return out / MODEL_NAME


@dataclass(frozen=True, slots=True)
class _Source:
    """Where a run's batches come from; see ``train``."""

    pictures: list[Photo]
    folder: Path | None
    skipped: Skipped
    fabric: Fabric
    workers: int

    def batches(self, config: TrainConfig, start: int = 0) -> Iterator[Batch]:
        """Returns a run's batches from step ``start`` on, on the device."""
        length = config.steps * config.batch_pairs
        curriculum = round(length * config.easy_share)
        pairs = training_pairs(config, self.pictures, length, config.seed, curriculum, self.folder, self.skipped)
        ranks = self.fabric.world_size
        # Ranks take turns within each batch, so that the run sees the same pairs on any number of processes.
        own = range(start * config.batch_pairs + self.fabric.global_rank, length, ranks)
        on_gpu = self.fabric.device.type == "cuda"
        loader = pair_loader(pairs, config.batch_pairs // ranks, self.workers, order=own, pin_memory=on_gpu)
        return check_each(self.fabric.setup_dataloaders(loader, use_distributed_sampler=False))  # type: ignore[arg-type]


class _Clock:
    """Hours trained, and when the state was saved last."""

    def __init__(self, hours_before: float) -> None:
        self._began_s = time.monotonic() - hours_before * 3600
        self._saved_s = time.monotonic()

    def hours(self) -> float:
        return (time.monotonic() - self._began_s) / 3600

    def saved(self) -> None:
        self._saved_s = time.monotonic()

    def save_is_due(self) -> bool:
        return time.monotonic() - self._saved_s > SAVE_EVERY_S


class _Interrupts:
    """Notes the first Ctrl-C, so that a step is finished and saved before the run ends; the second one ends it."""

    def __init__(self) -> None:
        self.seen = False

    def __enter__(self) -> _Interrupts:
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


def _step(
    fabric: Fabric, model: nn.Module, optimizer: Any, batch: Batch, config: TrainConfig, oracle: TinyDF | None
) -> Tensor:
    """Takes one optimiser step and returns its loss."""
    # Two passes, so that no forgery shares batch statistics with its own original.
    losses = (_backward(fabric, model, half, config, oracle) for half in twins_apart(batch))
    loss = sum(losses, torch.zeros(())) / 2
    fabric.clip_gradients(model, optimizer, max_norm=5.0)
    optimizer.step()
    optimizer.zero_grad()
    return loss


def _backward(fabric: Fabric, model: nn.Module, half: Batch, config: TrainConfig, oracle: TinyDF | None) -> Tensor:
    """Adds the gradients of half a step and returns its loss."""
    images, labels, maps = half
    logits, map_logits = model(images)
    loss = forgery_loss(logits, map_logits, labels, maps, config.map_weight)
    if oracle is not None:
        with torch.no_grad():
            opinion = oracle(images)
        agreement = distillation_loss(logits, map_logits, *opinion)
        loss = (1 - config.distill_weight) * loss + config.distill_weight * agreement
    fabric.backward(loss / 2)
    return loss.detach().cpu()


def at_size(batch: Batch, side_px: int) -> Batch:
    """Returns a batch as the network takes it: float32, channels last, no larger than ``side_px``.

    Args:
        batch: Images, N x 3 x H x W, uint8; labels, N; maps, N x h x w.
        side_px: A multiple of 32.
    """
    images, labels, maps = batch
    images = images.float()
    if images.shape[-1] > side_px:
        images = functional.interpolate(
            images, (side_px, side_px), mode="bilinear", align_corners=False, antialias=True
        )
        maps = functional.adaptive_avg_pool2d(maps.unsqueeze(1), side_px // MAP_CELL_PX).squeeze(1)
    return images.contiguous(memory_format=torch.channels_last), labels, maps


def calibrated(spec: ModelSpec, real: Logits, fake: Logits) -> ModelSpec:
    """Returns the spec with the temperature and the threshold that validation asks for, a crop at a time.

    ``tinydf-evaluate --fpr`` fits them anew, on whole videos.
    """
    temperature = fit_temperature(real, fake)
    threshold = 1 / (1 + math.exp(-threshold_at_fpr(real, VALIDATION_FPR) / temperature))
    return replace(spec, temperature=round(temperature, 4), threshold=round(min(max(threshold, 0.01), 0.99), 4))


def part_of(network: nn.Module, part: Part) -> nn.Module:
    """Returns the part of a network that learns; it maps images to logits and map logits as the whole does."""
    if part == "whole":
        return network
    assert isinstance(network, TinyDF), "TrainConfig allows parts of no other"
    if part == "deep":
        return RGBBranch(network)
    return network.residual


def moving_average(average: Tensor, current: Tensor, averaged: Tensor | int, decay: float) -> Tensor:
    """Returns the next exponential average; the decay grows from 0, so that random first weights are soon forgotten."""
    return average.lerp(current, 1 - min(decay, float(averaged + 1) / float(averaged + 10)))


def refresh_statistics(model: nn.Module, config: TrainConfig, source: _Source) -> None:
    """Measures the batch statistics anew for the averaged weights, over pairs that no step has seen.

    Of pairs made beforehand there are no others; the first of them serve.

    Those that training kept belong to weights that moved on; the average needs its own (Izmailov et al., "Averaging
    Weights Leads to Wider Optima and Better Generalization", UAI 2018, section 3.2).
    """
    unseen = replace(config, seed=config.seed + 1, steps=min(STATISTICS_BATCHES, config.steps), easy_share=0.0)
    full_px = unseen.side_px(unseen.steps)
    batches = (at_size(batch, full_px) for batch in source.batches(unseen))
    update_bn((half[0] for batch in batches for half in twins_apart(batch)), model)
    model.eval()


def learning_rate_factor(step: int, config: TrainConfig) -> float:
    """Returns the share of the peak learning rate at a step: linear warm-up, then half a cosine."""
    warmup = max(1, round(config.steps * config.warmup_share))
    if step <= warmup:
        return step / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, config.steps - warmup)))


@torch.inference_mode()
def score_pairs(model: nn.Module, pairs: Iterable[Batch], device: torch.device) -> tuple[Logits, Logits]:
    """Returns the logits of the real and of the forged crops, N each, in the order of ``pairs``."""
    was_training = model.training
    model.eval()
    real, fake = [], []
    for images, labels, _ in pairs:
        placed = images.to(device).float().contiguous(memory_format=torch.channels_last)
        logits = model(placed)[0].double().cpu()
        real.append(logits[labels == 0].numpy())
        fake.append(logits[labels == 1].numpy())
    model.train(was_training)
    return np.concatenate(real), np.concatenate(fake)


def _decay_groups(model: nn.Module, config: TrainConfig) -> list[dict[str, Any]]:
    # Gains and biases are not decayed: shrinking them does not simplify what the network computes.
    weights = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in model.parameters() if parameter.ndim <= 1]
    return [{"params": weights, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
