"""Two checkpoints -> one, with the RGB branch of the first and the noise branch of the second.

The network adds the logits of its branches. Each gets a factor, fitted by logistic regression on the even photos of the
validation set (``tinydf/data/validation_set.py``); the figures come from the odd ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.utils.data import ConcatDataset, DataLoader

from tinydf.checkpoint import Checkpoint, load_checkpoint
from tinydf.data.dataset import collate
from tinydf.data.photos import Photo
from tinydf.data.samples import Pair
from tinydf.data.validation_set import TYPES, VERSION, validation_set
from tinydf.forgery import TinyDF
from tinydf.metrics import auc, auc_with_interval
from tinydf_runtime.errors import UsageError

BATCH_PAIRS = 8
CERTAIN_SHARES = (0.1, 0.9)
"""A map cell is real below the first share of forged pixels and fake above the second; between them it has no label."""
Vectors = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class BranchScores:
    """Logits of both branches on the validation set; columns are RGB branch and noise branch.

    Attributes:
        logits: N x 2.
        labels: N, 1 for fake.
        photo: N, index of the photo.
        kind: N, index of the forgery type in ``TYPES``.
        cells: M x 2, map logits.
        cell_labels: M, 1 for fake.
    """

    logits: Vectors
    labels: Vectors
    photo: NDArray[np.intp]
    kind: NDArray[np.intp]
    cells: Vectors
    cell_labels: Vectors


@dataclass(frozen=True, slots=True)
class Joined:
    """What ``join_branches`` returns.

    Attributes:
        checkpoint: Both branches, with the factors in their last layers.
        figures: Lines about the factors and what each branch gives alone, as the checkpoint records them.
    """

    checkpoint: Checkpoint
    figures: list[str]


def join_branches(
    rgb: Path, noise: Path, photos: Sequence[Photo], count: int, advance: Callable[[int], None] = lambda done: None
) -> Joined:
    """Joins two branches; temperature and threshold stay those of the RGB branch's checkpoint.

    Args:
        rgb: Checkpoint to take the RGB branch from.
        noise: Checkpoint to take the noise branch from.
        photos: Real faces of people that neither was trained on.
        count: How many of the photos to use at most.
        advance: Called with the number of pairs scored so far.

    Raises:
        UnreadableInputError: A checkpoint is not there.
        ModelFileError: A checkpoint is damaged.
        UsageError: The checkpoints are no two of a kind, or there are fewer than two colour photos.
    """
    sources = {"deep": load_checkpoint(rgb), "residual": load_checkpoint(noise)}
    network = _combine(sources["deep"], sources["residual"], rgb, noise)
    scores = score_branches(network, photos, count, advance)
    even = scores.photo % 2 == 0
    factors = {
        "verdict": fit_factors(scores.logits[even], scores.labels[even]),
        "map": fit_factors(scores.cells, scores.cell_labels),
    }
    figures = describe(scores, factors["verdict"])
    record = {
        "parts": {name: dict(source.config) for name, source in sources.items()},
        "factors": {name: list(map(float, one)) for name, one in factors.items()},
        "validation": {"version": VERSION, "photos": count, "figures": figures},
    }
    scale_branches(network, factors)
    return Joined(Checkpoint(network.state_dict(), record, sources["deep"].spec), figures)


def _combine(rgb: Checkpoint, noise: Checkpoint, rgb_path: Path, noise_path: Path) -> TinyDF:
    kinds = [(one.network, one.width) for one in (rgb, noise)]
    if kinds[0] != kinds[1] or kinds[0][0] != "tinydf":
        found = " and ".join(f"{network} of width {width:g}" for network, width in kinds)
        raise UsageError(f"{rgb_path}, {noise_path}: are {found}. Only two tinydf of one width can be joined.")
    state = {name: (noise if name.startswith("residual.") else rgb).state[name] for name in rgb.state}
    return replace(rgb, state=state).build()


@torch.inference_mode()
def score_branches(
    network: TinyDF, photos: Sequence[Photo], count: int, advance: Callable[[int], None] = lambda done: None
) -> BranchScores:
    """Scores the validation set with both branches; see ``join_branches`` for the arguments.

    Raises:
        UsageError: There are fewer than two colour photos.
    """
    sets = validation_set(photos, count)
    pairs: ConcatDataset[Pair] = ConcatDataset(list(sets.values()))
    photo_count = len(pairs) // len(sets)
    if photo_count < 2:
        raise UsageError(f"{photo_count} colour photo to fit and measure on: give at least two.")
    logits: list[Tensor] = []
    cells: list[Tensor] = []
    labels, truths, numbers = [], [], []
    for start, (images, label, maps) in enumerate(DataLoader(pairs, BATCH_PAIRS, collate_fn=collate)):
        image = images.float().contiguous(memory_format=torch.channels_last)
        judged = (network.score_rgb(image), network.residual(image))
        logits.append(torch.stack([logit for logit, _ in judged], 1))
        certain = (maps < CERTAIN_SHARES[0]) | (maps > CERTAIN_SHARES[1])
        cells.append(torch.stack([one[certain] for _, one in judged], 1))
        labels.append(label)
        truths.append((maps[certain] > 0.5).float())
        batch = np.arange(len(label) // 2) + start * BATCH_PAIRS
        numbers += [batch, batch]
        advance(int(batch[-1]) + 1)
    number = np.concatenate(numbers)
    return BranchScores(
        torch.cat(logits).double().numpy(),
        torch.cat(labels).double().numpy(),
        number % photo_count,
        number // photo_count,
        torch.cat(cells).double().numpy(),
        torch.cat(truths).double().numpy(),
    )


def fit_factors(logits: Vectors, labels: Vectors) -> Vectors:
    """Returns the two factors, at least 0, of the logits (N x 2) whose sum explains the labels (N) best."""
    found: Vectors = LogisticRegression(C=1e6, fit_intercept=True).fit(logits, labels).coef_[0]
    return found.clip(min=0)


def describe(scores: BranchScores, factors: Vectors) -> list[str]:
    """Returns lines on the factors, the AUC of each branch and of both on the odd photos, and the RGB branch's share.

    Args:
        scores: Logits of both branches.
        factors: 2, of RGB branch and noise branch, fitted on the even photos.
    """
    odd = scores.photo % 2 == 1
    weighted = scores.logits[odd] * factors
    columns = {"RGB branch alone": weighted[:, 0], "noise branch alone": weighted[:, 1], "both": weighted.sum(1)}
    lines = [f"factors: RGB {factors[0]:.3f}, noise {factors[1]:.3f}"]
    labels, kinds = scores.labels[odd], scores.kind[odd]
    for name, column in columns.items():
        real, fake = column[labels == 0], column[labels == 1]
        by_type = [
            auc(real[kinds[labels == 0] == kind], fake[kinds[labels == 1] == kind]) for kind in range(len(TYPES))
        ]
        mean = float(np.mean(by_type))
        pooled = auc_with_interval(real, fake)
        details = ", ".join(f"{kind} {one:.3f}" for kind, one in zip(TYPES, by_type, strict=True))
        lines.append(
            f"{name}: mean AUC {mean:.4f}; all {pooled.value:.4f} [{pooled.low:.4f}, {pooled.high:.4f}]; {details}"
        )
    covariance = np.cov(weighted.T)
    share = float(covariance[0].sum() / covariance.sum())
    lines.append(f"share of the verdict's variance that comes from the RGB branch: {share:.3f}")
    return lines


def scale_branches(network: TinyDF, factors: Mapping[str, Vectors]) -> None:
    """Multiplies the factors into the branches' last layers.

    Args:
        network: Changed in place.
        factors: ``verdict`` and ``map``, each of the RGB branch and of the noise branch.
    """
    verdict, cell = factors["verdict"], factors["map"]
    layers: Sequence[tuple[tuple[Any, ...], float]] = (
        ((network.head.kan2.base_weight, network.head.kan2.spline_weight), verdict[0]),
        ((network.residual.verdict.weight, network.residual.verdict.bias), verdict[1]),
        ((network.map_conv.weight, network.map_conv.bias), cell[0]),
        ((network.residual.map_conv.weight, network.residual.map_conv.bias), cell[1]),
    )
    with torch.no_grad():
        for parameters, factor in layers:
            for parameter in parameters:
                parameter.mul_(float(factor))
