"""A model and photos of real faces -> the thresholds for ``tinydf-run --fpr``, as the field that a ModelSpec carries.

python scripts/measure_fpr.py --data faces

Every colour photo of the validation people is degraded as in training and scored by the exported model itself, so that
a model in eight bits gets its own table. The share is of single faces: a video's verdict rests on many.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import click
import cv2
import numpy as np

from tinydf.data.dataset import FixedPairs
from tinydf.data.photos import read_photos
from tinydf.data.series import colour_reals
from tinydf.metrics import threshold_at_fpr
from tinydf_runtime.engine import open_engine
from tinydf_runtime.pipeline import DEFAULT_MODEL

SHARES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3)
FEWEST = 20
"""A share is left out where fewer faces than these would reach its threshold: it would be their chance."""
SEED = 21
BATCH = 16


@click.command()
@click.option("--model", type=click.Path(path_type=Path), default=DEFAULT_MODEL, help="Exported model.")
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder with faces.csv.")
@click.option("--draws", default=2, show_default=True, help="Degradations of each photo.")
def main(model: Path, data: Path, draws: int) -> None:
    """Prints the table as JSON: share, threshold."""
    engine = open_engine(model, threads=1)
    photos = colour_reals(read_photos(data, "val"))
    probabilities: list[float] = []
    for draw in range(draws):
        pairs = FixedPairs(photos, SEED + draw)
        for start in range(0, len(photos), BATCH):
            crops = np.stack([pairs[i].real for i in range(start, min(start + BATCH, len(photos)))])
            probabilities += engine.score(np.ascontiguousarray(crops)).fake_probability.tolist()
    real = np.array(probabilities)
    shares = [share for share in SHARES if share * len(real) >= FEWEST]
    # Rounded up, so that no more faces reach it than were measured.
    table = [(share, math.ceil(threshold_at_fpr(real, share) * 1e4) / 1e4) for share in shares]
    click.echo(
        f"{len(real)} faces of {len({person for photo in photos for person in photo.identities})} people", err=True
    )
    click.echo(json.dumps(table))


if __name__ == "__main__":
    cv2.setNumThreads(1)
    main()
