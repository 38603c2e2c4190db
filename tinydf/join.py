"""Two checkpoints, the RGB branch of one and the noise branch of the other -> one checkpoint.

python scripts/join_parts.py --deep runs/deep/tinydf.safetensors --residual runs/residual/tinydf.safetensors \
    --data faces --out runs/joined.safetensors

The logits of both branches add up, each times a factor. The factors are fitted on the even photos of the validation set
(``tinydf/data/validation_set.py``) and every figure that is printed comes from the odd ones.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import click
import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.utils.data import ConcatDataset, DataLoader

from tinydf.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from tinydf.data.dataset import collate
from tinydf.data.photos import read_photos
from tinydf.data.samples import Pair
from tinydf.data.validation_set import TYPES, VERSION, validation_set
from tinydf.forgery import TinyDF
from tinydf.metrics import Estimate, auc_with_interval

Vectors = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Parts:
    """What both branches say of the validation set.

    Attributes:
        logits: N x 2, RGB branch and noise branch.
        labels: N, 1 for forged.
        photo: N, index of the photo.
        kind: N, index of the forgery type.
        cells: M x 2, map logits of both branches.
        cell_labels: M, 1 for forged.
    """

    logits: Vectors
    labels: Vectors
    photo: NDArray[np.intp]
    kind: NDArray[np.intp]
    cells: Vectors
    cell_labels: Vectors


@click.command()
@click.option("--deep", type=click.Path(path_type=Path), required=True, help="Checkpoint of the RGB branch.")
@click.option("--residual", type=click.Path(path_type=Path), required=True, help="Checkpoint of the noise branch.")
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder of real faces.")
@click.option("--count", default=200, show_default=True, help="Photos of the validation set.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Checkpoint to write.")
def main(deep: Path, residual: Path, data: Path, count: int, out: Path) -> None:
    """Joins the branches and prints what each is worth."""
    cv2.setNumThreads(1)
    sources = {"deep": load_checkpoint(deep), "residual": load_checkpoint(residual)}
    state = {
        name: sources["residual" if name.startswith("residual.") else "deep"].state[name]
        for name in sources["deep"].state
    }
    joined = replace(sources["deep"], state=state)
    parts = score_parts(joined.build(), data, count)
    even = parts.photo % 2 == 0
    factors = {"verdict": fit(parts.logits[even], parts.labels[even]), "map": fit(parts.cells, parts.cell_labels)}
    figures = describe(parts, factors["verdict"])
    for line in figures["lines"]:
        click.echo(line)
    record = {
        "parts": {name: dict(source.config) for name, source in sources.items()},
        "factors": {name: list(map(float, one)) for name, one in factors.items()},
        "validation": {"version": VERSION, "photos": count, "figures": figures["lines"]},
    }
    save_checkpoint(Checkpoint(scaled(joined.build(), factors).state_dict(), record, joined.spec), out)


@torch.inference_mode()
def score_parts(network: TinyDF, data: Path, count: int) -> Parts:
    """Scores the validation set with both branches."""
    sets = validation_set(read_photos(data, "val"), count)
    pairs: ConcatDataset[Pair] = ConcatDataset(list(sets.values()))
    photos = len(pairs) // len(sets)
    logits: list[Tensor] = []
    cells: list[Tensor] = []
    labels, truths, numbers = [], [], []
    for start, (images, label, maps) in enumerate(DataLoader(pairs, 8, collate_fn=collate)):
        image = images.float().contiguous(memory_format=torch.channels_last)
        judged = (network.judge_deep(image), network.residual(image))
        logits.append(torch.stack([logit for logit, _ in judged], 1))
        # Cells wholly inside or outside: what lies between has no label.
        certain = (maps < 0.1) | (maps > 0.9)
        cells.append(torch.stack([one[certain] for _, one in judged], 1))
        labels.append(label)
        truths.append((maps[certain] > 0.5).float())
        batch = np.arange(len(label) // 2) + start * 8
        numbers += [batch, batch]
    number = np.concatenate(numbers)
    return Parts(
        torch.cat(logits).double().numpy(),
        torch.cat(labels).double().numpy(),
        number % photos,
        number // photos,
        torch.cat(cells).double().numpy(),
        torch.cat(truths).double().numpy(),
    )


def fit(logits: Vectors, labels: Vectors) -> Vectors:
    """Returns the two factors of the logits whose sum explains the labels best; neither is below 0."""
    found: Vectors = LogisticRegression(C=1e6, fit_intercept=True).fit(logits, labels).coef_[0]
    return found.clip(min=0)


def describe(parts: Parts, factors: Vectors) -> dict[str, list[str]]:
    """Returns lines that tell what each branch gives on the photos that chose no factor."""
    odd = parts.photo % 2 == 1
    weighted = parts.logits[odd] * factors
    columns = {"RGB branch alone": weighted[:, 0], "noise branch alone": weighted[:, 1], "both": weighted.sum(1)}
    lines = [f"factors: RGB {factors[0]:.3f}, noise {factors[1]:.3f}"]
    labels, kinds = parts.labels[odd], parts.kind[odd]
    for name, column in columns.items():
        by_type = [_auc(column[kinds == kind], labels[kinds == kind]) for kind in range(len(TYPES))]
        mean = float(np.mean([one.value for one in by_type]))
        pooled = _auc(column, labels)
        details = ", ".join(f"{kind} {one.value:.3f}" for kind, one in zip(TYPES, by_type, strict=True))
        lines.append(
            f"{name}: mean AUC {mean:.4f}; all {pooled.value:.4f} [{pooled.low:.4f}, {pooled.high:.4f}]; {details}"
        )
    covariance = np.cov(weighted.T)
    share = float(covariance[0].sum() / covariance.sum())
    lines.append(f"share of the verdict's variance that comes from the RGB branch: {share:.3f}")
    return {"lines": lines}


def _auc(logits: Vectors, labels: Vectors) -> Estimate:
    return auc_with_interval(logits[labels == 0], logits[labels == 1])


def scaled(network: TinyDF, factors: dict[str, Vectors]) -> TinyDF:
    """Returns the network with the factors multiplied into its last layers."""
    verdict, cell = factors["verdict"], factors["map"]
    with torch.no_grad():
        for last, factor in (
            ((network.head.kan2.base_weight, network.head.kan2.spline_weight), verdict[0]),
            ((network.residual.verdict.weight, network.residual.verdict.bias), verdict[1]),
            ((network.map_conv.weight, network.map_conv.bias), cell[0]),
            ((network.residual.map_conv.weight, network.residual.map_conv.bias), cell[1]),
        ):
            for parameter in last:
                assert parameter is not None
                parameter.mul_(float(factor))
    return network


if __name__ == "__main__":
    main()
