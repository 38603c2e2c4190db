"""A model and photos of real faces -> the thresholds for ``tinydf-run --fpr``, as the field that a ModelSpec carries.

python scripts/measure_fpr.py --data faces

Every colour photo of the validation people is degraded as in training and scored by the exported model itself, so that
a model in eight bits gets its own table. The share is of single faces: a video's verdict rests on many.
"""

from __future__ import annotations

import json
from pathlib import Path

import click
import cv2
import numpy as np

from tinydf.data.dataset import FixedPairs
from tinydf.data.photos import read_photos
from tinydf.data.series import colour_reals
from tinydf.evaluation.operating_point import tabulate_fpr
from tinydf_runtime.embedded import DEFAULT_MODEL
from tinydf_runtime.engine import open_engine

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
    people = len({person for photo in photos for person in photo.identities})
    click.echo(f"{len(probabilities)} crops of {people} people", err=True)
    click.echo(json.dumps(tabulate_fpr(np.array(probabilities))))


if __name__ == "__main__":
    cv2.setNumThreads(1)
    main()
