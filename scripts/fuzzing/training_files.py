"""Checkpoints and calibration tables as commands open them: one line and an exit code for what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

from tinydf_runtime.cli.command import OneLineCommand
from tinydf_runtime.errors import ModelFileError

_path = click.argument("path", type=click.Path(path_type=Path))


@click.command("tinydf-checkpoint", cls=OneLineCommand)
@_path
def score_checkpoint(path: Path) -> int:
    """Loads a checkpoint and scores a grey crop, as every command does that takes one."""
    import torch

    from tinydf.checkpoint import load_checkpoint

    checkpoint = load_checkpoint(path)
    network = checkpoint.build()
    crop = torch.full((1, 3, checkpoint.spec.crop.side_px, checkpoint.spec.crop.side_px), 0.5)
    with torch.inference_mode():
        found = network(crop)
    values = [np.asarray(value) for value in (found if isinstance(found, tuple) else tuple(vars(found).values()))]
    if not all(np.isfinite(value).all() for value in values):
        click.echo("a network that gives no number was loaded", err=True)
    if not 0 < checkpoint.spec.threshold < 1:
        click.echo(f"the threshold {checkpoint.spec.threshold} was accepted", err=True)
    return 0


@click.command("tinydf-detector-checkpoint", cls=OneLineCommand)
@_path
def load_detector_checkpoint(path: Path) -> int:
    """Loads a face detector's checkpoint and finds faces in a grey picture."""
    import torch

    from tinydf.facedetector.weights import load_detector

    checkpoint = load_detector(path)
    with torch.inference_mode():
        found = checkpoint.network(torch.full((1, 3, 64, 64), 0.5))
    if not all(torch.isfinite(value).all() for value in _tensors(found)):
        click.echo("a detector that gives no number was loaded", err=True)
    return 0


def _tensors(found: object) -> list[Any]:
    """Returns the tensors in whatever a network gives."""
    import torch

    if isinstance(found, torch.Tensor):
        return [found]
    parts = (
        found if isinstance(found, list | tuple) else list(vars(found).values()) if hasattr(found, "__dict__") else []
    )
    return [tensor for part in parts for tensor in _tensors(part)]


@click.command("tinydf-table", cls=OneLineCommand)
@_path
def read_calibration(path: Path) -> int:
    """Reads a calibration table, writes it anew and looks at its ranges."""
    from tinydf_calibration.table import read_table

    table = read_table(path)
    table.sha256()
    for name, (low, high) in table.ranges.items():
        if not np.isfinite([low, high]).all() or not low <= high:
            raise ModelFileError(f"{path.name}: {name} was accepted with the range {low} to {high}.")
    return 0
