"""Two networks, the deep part of one and the residual part of the other trained -> one checkpoint.

python scripts/join_parts.py --deep runs/deep/tinydf.safetensors --residual runs/residual/tinydf.safetensors \
    --data faces --out runs/joined.safetensors

Evidence from both parts adds up as logits do, but not at par: they learned at different speeds and see partly the same
traces. Two factors for the verdict and two for the forgery map, fitted on validation pairs, become part of the weights.
On forgeries that nobody trained on, two kinds of evidence are safer than one: no part's verdict counts for less than
``LEAST``, which the printed figures show to cost next to nothing.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.utils.data import DataLoader

from tinydf.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from tinydf.data.dataset import FixedPairs, collate
from tinydf.data.families.table import Mixture
from tinydf.data.photos import read_photos
from tinydf.data.series import colour_reals
from tinydf.forgery import TinyDF
from tinydf.metrics import auc

SEED = 13
LEAST = 0.15
Vectors = NDArray[np.float64]


@click.command()
@click.option("--deep", type=click.Path(path_type=Path), required=True, help="Checkpoint whose deep part is taken.")
@click.option("--residual", type=click.Path(path_type=Path), required=True, help="Checkpoint of the residual part.")
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder of real faces.")
@click.option("--pairs", default=800, show_default=True, help="Validation pairs to fit the factors on.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Checkpoint to write.")
def main(deep: Path, residual: Path, data: Path, pairs: int, out: Path) -> None:
    """Joins the parts and prints what each is worth."""
    cv2.setNumThreads(1)
    sources = {"deep": load_checkpoint(deep), "residual": load_checkpoint(residual)}
    state = {
        name: sources["residual" if name.startswith("residual.") else "deep"].state[name]
        for name in sources["deep"].state
    }
    joined = replace(sources["deep"], state=state)
    photos = colour_reals(read_photos(data, "val"))
    photos = photos[:: max(1, len(photos) // pairs)]
    verdicts, cells = score_parts(joined.build(), FixedPairs(photos, SEED, Mixture(photos)))
    fitted = fit(*verdicts)
    factors = {"verdict": fitted.clip(min=LEAST), "map": fit(*cells)}
    logits, labels = verdicts
    for name, column in (
        ("deep", logits[:, 0]),
        ("residual", logits[:, 1]),
        ("both, as fitted", logits @ fitted),
        ("both", logits @ factors["verdict"]),
    ):
        click.echo(f"{name}: AUC {auc(column[labels == 0], column[labels == 1]):.4f} on {len(photos)} pairs")
    click.echo(", ".join(f"{name}: deep x {one[0]:.3f}, residual x {one[1]:.3f}" for name, one in factors.items()))
    parts = {name: dict(source.config) for name, source in sources.items()}
    record = {"parts": parts, "factors": {name: list(map(float, one)) for name, one in factors.items()}}
    save_checkpoint(Checkpoint(scaled(joined.build(), factors).state_dict(), record, joined.spec), out)


def score_parts(network: TinyDF, pairs: FixedPairs) -> tuple[tuple[Vectors, Vectors], tuple[Vectors, Vectors]]:
    """Returns logits of both parts, N x 2, with labels, N, for verdicts and for cells of the forgery map."""
    verdicts: list[Tensor] = []
    cells: list[Tensor] = []
    labels, truths = [], []
    with torch.inference_mode():
        for images, label, maps in DataLoader(pairs, 8, collate_fn=collate):
            image = images.float().contiguous(memory_format=torch.channels_last)
            judged = (network.judge_deep(image), network.residual(image))
            verdicts.append(torch.stack([logit for logit, _ in judged], 1))
            # Cells wholly inside or outside: what lies between has no label.
            certain = (maps < 0.1) | (maps > 0.9)
            cells.append(torch.stack([one[certain] for _, one in judged], 1))
            labels.append(label)
            truths.append((maps[certain] > 0.5).float())
    return (
        (torch.cat(verdicts).double().numpy(), torch.cat(labels).double().numpy()),
        (torch.cat(cells).double().numpy(), torch.cat(truths).double().numpy()),
    )


def fit(logits: Vectors, labels: Vectors) -> Vectors:
    """Returns the two factors of the logits whose sum explains the labels best; neither is below 0."""
    found: Vectors = LogisticRegression(C=1e6, fit_intercept=True).fit(logits, labels).coef_[0]
    return found.clip(min=0)


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
