"""Photos -> trained face detector: the loop, visible in one piece.

The learning rate warms up, stays, and falls to nothing over the last part; the kept weights are a moving average.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tinydf.facedetector.config import DetectorConfig
from tinydf.facedetector.dataset import Batch, ComposedPictures, batches
from tinydf.facedetector.loss import Losses, detection_losses
from tinydf.facedetector.mine import mistakes_kept, with_mistakes
from tinydf.facedetector.model import FaceDetectorNet, cell_strides, decode
from tinydf.facedetector.mosaic import Composer
from tinydf.facedetector.photos import Pictures
from tinydf.facedetector.run_state import Run, load_state, state_bytes
from tinydf.facedetector.validate import (
    NMS_IOU,
    USUAL_SCORE,
    Validation,
    validate,
    validation_frames,
    validation_pictures,
)
from tinydf.facedetector.weights import copy_state, save_detector
from tinydf.facedetector.widen import start_from
from tinydf.facedetector.world import WorldComposer
from tinydf_runtime.errors import OutputError
from tinydf_runtime.io.files import write_atomically

logger = logging.getLogger(__name__)
NAME = "tinydf-facedetector"


def train(
    training: Pictures,
    validation: Pictures,
    out: Path,
    config: DetectorConfig,
    *,
    init: FaceDetectorNet | None = None,
    resume: bool = False,
    device: str = "cpu",
    workers: int = 1,
    origin: dict[str, Any] | None = None,
    report: Callable[[int, float, float | None], None] | None = None,
    stop: threading.Event | None = None,
) -> Path:
    """Trains and returns the path of the best weights, ``out/facedetector.safetensors``.

    Args:
        training: To learn from.
        validation: To choose the best weights by; other people and groups of scenes than in ``training``.
        out: Folder for weights, state (``state.safetensors``), mistakes mined and log (``log.jsonl``); made if missing.
        config: Of the run.
        init: What to start from, as wide as a new network or narrower; None for random weights.
        resume: Go on from the state in ``out``, if there is one. ``steps`` may have been raised since.
        device: As torch names it.
        workers: Processes that draw pictures.
        origin: What the weights' file says about the data, under ``data``.
        report: Called after each step with the number of steps done, the loss, and the last validation's average
            precision (None before the first).
        stop: Once set, the step that runs is the last one; its state is saved, to be resumed.

    Raises:
        UsageError: ``init`` is wider than a new network.
        ModelFileError: The state is damaged or of another network.
        OutputError: A file could not be written.
    """
    make_folder(out)
    torch.manual_seed(config.seed)
    run = _start(config, device, init)
    state_path = out / "state.safetensors"
    if resume and state_path.is_file():
        load_state(run, state_path)
    pictures = validation_pictures(validation.photos, config.validation_pictures, config.side_px, config.seed)
    frames = validation_frames(validation.scenes, validation.photos, config.validation_pictures, config.seed)
    losses_seen: list[Tensor] = []
    precision: float | None = None
    began = time.monotonic() - run.seconds
    for batch in _rounds(run, training, out, config, workers, pin=device.startswith("cuda")):
        losses = _learn(run, batch, config)
        losses_seen.append(torch.stack(losses).detach())
        run.step += 1
        if report is not None:
            report(run.step, float(losses.total.detach()), precision)
        if run.step % config.validate_every == 0 or run.step == config.steps:
            run.seconds = time.monotonic() - began
            outcome = validate(run.averaged, pictures, frames)
            precision = outcome.average_precision
            entry = _log_entry(run, losses_seen, outcome, config)
            losses_seen.clear()
            with (out / "log.jsonl").open("a", encoding="utf-8") as log:
                log.write(json.dumps(entry) + "\n")
            logger.info("%s", entry)
            if outcome.merit > run.best_merit:
                run.best_merit = outcome.merit
                facts = _facts(run, config, outcome, origin or {})
                save_detector(copy_state(run.averaged), facts, out / "facedetector.safetensors")
            write_atomically(state_path, state_bytes(run))
        if stop is not None and stop.is_set():
            run.seconds = time.monotonic() - began
            write_atomically(state_path, state_bytes(run))
            break
    return out / "facedetector.safetensors"


def _rounds(
    run: Run, training: Pictures, out: Path, config: DetectorConfig, workers: int, pin: bool
) -> Iterator[Batch]:
    """Yields the batches still to do; before each round the scenes are searched for what the network mistakes."""
    usable = [photo for photo in training.photos if len(photo.faces)]
    portraits = Composer(usable, training.scenes)
    rounds = config.mine_every or config.steps
    while run.step < config.steps:
        begin = run.step // rounds * rounds
        scenes = training.scenes
        if scenes and begin:
            kept = out / f"mistakes-{begin}.json"
            scenes = with_mistakes(scenes, mistakes_kept(run.averaged, scenes, kept))
        drawn = ComposedPictures(portraits, config.seed, WorldComposer(scenes, portraits) if scenes else None)
        plan = [config.batch_at(step) for step in range(run.step, min(begin + rounds, config.steps))]
        yield from batches(drawn, plan, workers, pin)


def make_folder(out: Path) -> None:
    """Makes the folder of a run, if it does not exist.

    Raises:
        OutputError: The system refused.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{out}: {error.strerror}. Expected a folder that can be written.") from error


def _start(config: DetectorConfig, device: str, init: FaceDetectorNet | None) -> Run:
    network = FaceDetectorNet().to(device)
    if init is not None:
        start_from(init, network)
    averaged = FaceDetectorNet().to(device).requires_grad_(False)
    for net in (network, averaged):
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's stubs
    averaged.load_state_dict(network.state_dict())
    decayed = [p for p in network.parameters() if p.ndim > 1]
    plain = [p for p in network.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return Run(network, averaged, torch.optim.AdamW(groups, lr=config.learning_rate))


def _learn(run: Run, batch: Batch, config: DetectorConfig) -> Losses:
    """Takes one optimiser step and one of the moving average."""
    run.network.train()
    device = next(run.network.parameters()).device
    images, boxes, landmarks, present, doubtful = (part.to(device, non_blocking=True) for part in batch)
    height, width = images.shape[1:3]
    # N x H x W x 3 seen as N x 3 x H x W is channels_last already.
    with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bf16-mixed"):
        levels = run.network.features(images.permute(0, 3, 1, 2).float())
    predictions = decode(levels)
    centres, strides = cell_strides(height, width, device)
    bind_levels = run.step >= config.bind_levels_at
    losses = detection_losses(predictions, boxes, landmarks, present, doubtful, centres, strides, bind_levels)
    run.optimizer.zero_grad(set_to_none=True)
    losses.total.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(run.network.parameters(), config.clip_norm)
    for group in run.optimizer.param_groups:
        group["lr"] = config.learning_rate_at(run.step)
    run.optimizer.step()
    # Early on, a long average would still be mostly what it started from.
    averaged_steps = run.step - (config.average_from if run.step >= config.average_from else 0)
    decay = min(config.average_decay, (averaged_steps + 1) / (averaged_steps + 10))
    with torch.no_grad():
        for kept, new in zip(run.averaged.state_dict().values(), run.network.state_dict().values(), strict=True):
            if kept.is_floating_point():
                kept.lerp_(new, 1.0 - decay)
            else:
                kept.copy_(new)
    return losses


def _log_entry(run: Run, losses: list[Tensor], outcome: Validation, config: DetectorConfig) -> dict[str, float]:
    parts = torch.stack(losses).mean(0).tolist()
    entry = {"step": run.step, "seconds": round(run.seconds, 1), "learning_rate": config.learning_rate_at(run.step - 1)}
    entry |= {f"loss_{name}": round(value, 4) for name, value in zip(Losses._fields, parts, strict=True)}
    return entry | {name: round(value, 4) for name, value in _figures(outcome).items()}


def _figures(outcome: Validation) -> dict[str, float]:
    return {name: value for name, value in asdict(outcome).items() if value is not None}


def _facts(run: Run, config: DetectorConfig, outcome: Validation, origin: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": NAME,
        "network": run.network.widths,
        "score_threshold": USUAL_SCORE,
        "nms_iou": NMS_IOU,
        "training": asdict(config) | {"step": run.step, "seconds": round(run.seconds), "torch": torch.__version__},
        "validation": {name: round(value, 4) for name, value in _figures(outcome).items()},
        "data": origin,
    }
