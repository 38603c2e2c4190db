"""Pictures or pairs -> trained checkpoint: the training loop, in one piece."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
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
from torch import nn
from torch.optim.swa_utils import AveragedModel, update_bn

from tinydf.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from tinydf.data.dataset import Batch
from tinydf.data.loading import BatchSource, check_each, pair_loader
from tinydf.data.photos import Photo
from tinydf.data.series import validation_pairs
from tinydf.data.shards import read_plan
from tinydf.data.skipped import Skipped
from tinydf.history import HistoryRow, read_history, write_history
from tinydf.initial import initial_network
from tinydf.metrics import auc, fit_temperature, threshold_at_fpr
from tinydf.synchronised_norm import synchronise_norms
from tinydf.train_config import TrainConfig
from tinydf.train_state import STATE_NAME, Clock, Interrupts, load_state, run_record, save_state, uncalibrated_spec
from tinydf.train_step import at_size, decay_groups, learning_rate_factor, moving_average, part_of, take_step
from tinydf.twins import training_mode_aucs, twins_apart
from tinydf_runtime.errors import OutputError, UsageError
from tinydf_runtime.models.spec import ModelSpec

MODEL_NAME = "tinydf.safetensors"
BEST_NAME = "best.safetensors"
"""The averaged weights of the best validation so far; their batch statistics are those of training."""
SKIPPED_NAME = "skipped.txt"
"""File with one line per picture that could not be read."""
STATISTICS_BATCHES = 50
"""Batches over which the statistics of the averaged weights are measured at the end."""
LEAK_BATCHES = 12
"""Validation batches on which training mode and evaluation mode are compared."""
VALIDATION_FPR = 0.1
"""Share of real validation crops that may reach the threshold."""
Logits: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class StepReport:
    """Progress of a run after a step; ``validation_auc`` is that of the last validation."""

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
        config: Settings of the run.
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
    optimizer = torch.optim.AdamW(decay_groups(learner, config), lr=config.learning_rate)
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
    source = BatchSource(training, pairs, Skipped(out / SKIPPED_NAME), fabric, workers)
    history = read_history(out) if resume else []
    batches = source.batches(config, start)
    # Made once: they are the same each time.
    unchanging = validation_pairs(config, validation, source.skipped)
    fixed = list(check_each(pair_loader(unchanging, config.batch_pairs, workers)))
    oracle = None if teacher is None else load_checkpoint(teacher).build().to(fabric.device)
    averaged = part_of(average.module, config.part)
    spec = uncalibrated_spec(config.network)
    clock = Clock(history[-1].hours if history else 0.0)
    losses: list[float] = []

    def record(step: int) -> dict[str, Any]:
        return run_record(config, step, origin, plan)

    def save(step: int) -> None:
        if fabric.is_global_zero:
            save_state(out / STATE_NAME, record(step), validation_auc, raw, average, optimizer)
        fabric.barrier()
        clock.saved()

    model.train()
    with Interrupts() as interrupts:
        for step, batch in enumerate(batches, start + 1):
            # Dropout and mixing too depend on seed and step alone.
            torch.manual_seed(config.seed + step)
            rate = config.learning_rate * learning_rate_factor(step, config)
            for group in optimizer.param_groups:
                group["lr"] = rate
            side_px = config.side_px(step)
            loss = take_step(fabric, model, optimizer, at_size(batch, side_px), config, oracle)
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


def refresh_statistics(model: nn.Module, config: TrainConfig, source: BatchSource) -> None:
    """Re-estimates batch-norm statistics for the averaged weights, over pairs that no step has seen.

    Of pairs made beforehand there are no others; the first of them serve.

    Those that training kept belong to weights that moved on; the average needs its own (Izmailov et al., "Averaging
    Weights Leads to Wider Optima and Better Generalization", UAI 2018, section 3.2).
    """
    unseen = replace(config, seed=config.seed + 1, steps=min(STATISTICS_BATCHES, config.steps), easy_share=0.0)
    full_px = unseen.side_px(unseen.steps)
    batches = (at_size(batch, full_px) for batch in source.batches(unseen))
    update_bn((half[0] for batch in batches for half in twins_apart(batch)), model)
    model.eval()


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


def calibrated(spec: ModelSpec, real: Logits, fake: Logits) -> ModelSpec:
    """Returns the spec with temperature and threshold fitted on N logits of real crops and M of forged ones.

    ``tinydf-evaluate --fpr`` refits them on whole videos.
    """
    temperature = fit_temperature(real, fake)
    threshold = 1 / (1 + math.exp(-threshold_at_fpr(real, VALIDATION_FPR) / temperature))
    return replace(spec, temperature=round(temperature, 4), threshold=round(min(max(threshold, 0.01), 0.99), 4))
