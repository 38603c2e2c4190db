"""Trains the noise branch without each forgery type in turn, and measures all types each time.

python scripts/leave_one_type_out.py --data faces --out docs/leave_one_type_out.md

A recipe is better when the type that it never saw is detected better. Features are computed once, so that a network
takes a minute of one core; all figures are on synthetic forgeries, on the validation split.
"""

from __future__ import annotations

from pathlib import Path

import click
import cv2
import numpy as np
import torch
from torch import Tensor

from tinydf.data.dataset import PairSeries, collate
from tinydf.data.forgery_types.table import TYPES, forgers_by_type
from tinydf.data.photos import Photo, read_photos
from tinydf.data.series import colour_reals
from tinydf.forgery.noise import NoiseBranch
from tinydf.metrics import auc
from tinydf.train_step import forgery_loss
from tinydf_runtime.io.files import write_atomically

BATCH_PAIRS, LEARNING_RATE = 32, 4e-3
Features = tuple[Tensor, Tensor]
"""P x 2 x 48 x 14 x 14, real and forged, and P x 14 x 14, the forgery maps."""


@click.command()
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder of real faces.")
@click.option("--pairs", default=600, show_default=True, help="Training pairs of each type.")
@click.option("--validation-pairs", default=200, show_default=True, help="Validation pairs of each type.")
@click.option("--epochs", default=5, show_default=True, help="Passes over the pairs.")
@click.option("--out", type=click.Path(path_type=Path), help="Markdown file for the figures.")
def main(data: Path, pairs: int, validation_pairs: int, epochs: int, out: Path | None) -> None:
    """Prints the AUC of every type, by the type that was left out."""
    cv2.setNumThreads(1)
    training = features_by_type(colour_reals(read_photos(data, "train")), pairs, seed=1)
    validation = features_by_type(colour_reals(read_photos(data, "val")), validation_pairs, seed=2)
    table: dict[str, dict[str, float]] = {}
    for left_out in ("none", *TYPES):
        # As many pairs whatever is left out: a recipe must not win by being longer.
        kept = [training[name] for name in TYPES if name != left_out]
        part = learn(kept, pairs * (len(TYPES) - 1), epochs)
        table[left_out] = {name: round(measure(part, features), 4) for name, features in validation.items()}
        click.echo(f"{left_out:>15}: " + "  ".join(f"{name} {value:.3f}" for name, value in table[left_out].items()))
    if out is not None:
        write_atomically(out, describe(table, pairs, validation_pairs, epochs).encode())


def describe(table: dict[str, dict[str, float]], pairs: int, validation_pairs: int, epochs: int) -> str:
    """Returns the page: a row for each type that was left out, its own figure in bold."""
    lines = [
        "# Leave one forgery type out",
        "",
        "AUC of the noise branch alone on synthetic forgeries of validation people's photos,",
        f"{validation_pairs} pairs per type. Each row is a network that trained without one type: {epochs} passes over",
        f"{pairs * (len(TYPES) - 1)} pairs in every row. In bold, the type that it never saw. Written by",
        f"`python scripts/leave_one_type_out.py --data FACES --pairs {pairs} --validation-pairs {validation_pairs} "
        f"--epochs {epochs} --out docs/leave_one_type_out.md`.",
        "",
        "| left out | " + " | ".join(TYPES) + " |",
        "| --- |" + " --- |" * len(TYPES),
    ]
    for left_out, row in table.items():
        cells = [f"**{value:.3f}**" if name == left_out else f"{value:.3f}" for name, value in row.items()]
        lines.append(f"| {left_out} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def features_by_type(photos: list[Photo], pairs: int, seed: int) -> dict[str, Features]:
    """Makes so many pairs of each type and keeps their features."""
    part = NoiseBranch()
    found = {}
    for name, forge in forgers_by_type(photos).items():
        series = PairSeries(photos, 224, pairs, seed, forge=forge)
        features, maps = [], []
        for index in range(pairs):
            images, _, cells = collate([series[index]])
            features.append(part.features(images.float().contiguous(memory_format=torch.channels_last)).contiguous())
            maps.append(cells[1])
        found[name] = (torch.stack(features), torch.stack(maps))
        click.echo(f"{name}: {pairs} pairs", err=True)
    return found


def learn(types: list[Features], pairs: int, epochs: int) -> NoiseBranch:
    """Trains a noise branch on ``pairs`` pairs, equally many of each forgery type."""
    torch.manual_seed(0)
    features, maps = (torch.cat([one[place] for one in types]) for place in (0, 1))
    chosen = torch.randperm(len(features))[:pairs]
    part = NoiseBranch().train()
    optimizer = torch.optim.AdamW(part.parameters(), lr=LEARNING_RATE, weight_decay=0.05)
    steps = epochs * (len(chosen) // BATCH_PAIRS)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    labels = torch.repeat_interleave(torch.tensor((0.0, 1.0)), BATCH_PAIRS)
    for _ in range(epochs):
        order = chosen[torch.randperm(len(chosen))]
        for start in range(0, len(order) - BATCH_PAIRS + 1, BATCH_PAIRS):
            batch = order[start : start + BATCH_PAIRS]
            truth = torch.cat((torch.zeros_like(maps[batch]), maps[batch]))
            loss = forgery_loss(*part.score(features[batch].transpose(0, 1).flatten(0, 1)), labels, truth, 1.0)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
    return part.eval()


@torch.inference_mode()
def measure(part: NoiseBranch, pairs: Features) -> float:
    """Returns the AUC on a type's pairs."""
    real, fake = (part.score(pairs[0][:, place])[0].double().numpy() for place in (0, 1))
    return auc(np.asarray(real), np.asarray(fake))


if __name__ == "__main__":
    main()
