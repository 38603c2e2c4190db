"""A model and photos of real faces -> the thresholds for ``tinydf-run --fpr``, as the field that a ModelSpec carries.

python scripts/measure_fpr.py --data faces

Every colour photo of the validation people is degraded as in training and scored by the exported model itself, so that
a model in eight bits gets its own table. The share is of single faces: a video's verdict rests on many.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import cv2
import numpy as np
from numpy.typing import NDArray

from tinydf.data.dataset import FixedPairs
from tinydf.data.photos import Photo, read_photos
from tinydf.data.series import colour_reals
from tinydf.metrics import threshold_at_fpr
from tinydf_runtime.engine import open_engine
from tinydf_runtime.pipeline import DEFAULT_MODEL

SHARES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3)
FEWEST = 20
"""A share is left out where fewer faces than these would reach its threshold: it would be their chance."""
SEED = 21
BATCH = 16


Scorer = Callable[[NDArray[np.uint8]], NDArray[np.floating]]
"""N x side x side x 3 RGB uint8 crops -> N fake probabilities."""


def measure_thresholds(score: Scorer, photos: Sequence[Photo], draws: int = 2) -> tuple[tuple[float, float], ...]:
    """Returns the shares in ``SHARES`` that can be measured, each with the threshold that so many real faces reach.

    Args:
        score: The model.
        photos: Of real faces, in colour, of people that it was not trained on.
        draws: Degradations of each photo.
    """
    probabilities: list[float] = []
    for draw in range(draws):
        pairs = FixedPairs(list(photos), SEED + draw)
        for start in range(0, len(photos), BATCH):
            crops = np.stack([pairs[i].real for i in range(start, min(start + BATCH, len(photos)))])
            probabilities += score(np.ascontiguousarray(crops)).tolist()
    real = np.array(probabilities)
    shares = [share for share in SHARES if share * len(real) >= FEWEST]
    # Rounded up, so that no more faces reach it than were measured.
    return tuple((share, math.ceil(threshold_at_fpr(real, share) * 1e4) / 1e4) for share in shares)


@click.command()
@click.option("--model", type=click.Path(path_type=Path), default=DEFAULT_MODEL, help="Exported model.")
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder with faces.csv.")
@click.option("--draws", default=2, show_default=True, help="Degradations of each photo.")
def main(model: Path, data: Path, draws: int) -> None:
    """Prints the table as JSON: share, threshold."""
    engine = open_engine(model, threads=1)
    photos = colour_reals(read_photos(data, "val"))
    table = measure_thresholds(lambda crops: engine.score(crops).fake_probability, photos, draws)
    people = len({person for photo in photos for person in photo.identities})
    click.echo(f"{draws * len(photos)} crops of {people} people", err=True)
    click.echo(json.dumps(table))


if __name__ == "__main__":
    cv2.setNumThreads(1)
    main()
