"""Tilted photos of real people and forgeries of them -> a page of verdicts, faces cut upright and as they stand.

python scripts/measure_tilts.py --data faces --out docs/tilts.md

Photos are of test people, one of each. A picture is turned about its middle, its corners filled with its edge, and kept
as JPEG of quality 80.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from unittest.mock import patch

import click
import cv2
import numpy as np

from tinydf.data.forgery_types.table import Mixture
from tinydf.data.photos import Photo, read_photos
from tinydf.metrics import auc_with_interval
from tinydf_runtime import Analyzer, Image, read_image, steps
from tinydf_runtime.faces import crop
from tinydf_runtime.io.files import write_atomically
from tinydf_runtime.results import InputReport

VERDICTS = ("real", "fake", "inconclusive", "no_face")
TILTS_DEG = (0, 15, 25, 35, 45, 90, 180)
QUALITY = 80
INTRO = """# Tilted faces

A face tilted by more than 20° is turned upright before it is scored, and a picture in which no face is certain is
searched sideways and upside down too. `scripts/measure_tilts.py` tilted photos of {count} test people, and a forgery
of each, and judged them with and without that. AUC, with its 95 % bootstrap interval, is of those photos whose face
got a score both real and forged.

| tilt | faces are | real photos called real | called fake | inconclusive | no face | forged ones called fake | AUC |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""


@click.command()
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder of photos of real faces.")
@click.option("--count", default=150, show_default=True, help="People.")
@click.option("--out", type=click.Path(path_type=Path), help="Page to write.")
def main(data: Path, count: int, out: Path | None) -> None:
    """Prints and writes the table."""
    people = list({photo.identities[0]: photo for photo in read_photos(data, "test")}.values())[:count]
    page = INTRO.format(count=len(people))
    with Analyzer(threads=1) as analyzer:
        for tilt_deg in TILTS_DEG:
            pictures = list(_pictures(people, tilt_deg))
            for name, way in (("turned", nullcontext), ("as they stand", _as_they_stand)):
                with way():
                    real, forged = ([_judged(analyzer, picture[side]) for picture in pictures] for side in (0, 1))
                row = _row(real, forged)
                page += f"| {tilt_deg}° | {name} | {row} |\n"
                click.echo(f"{tilt_deg} {name}: {row}")
    if out is not None:
        write_atomically(out, page.encode())


@contextmanager
def _as_they_stand() -> Iterator[None]:
    """Switches turning off."""
    with patch.object(crop, "UPRIGHT_TO_DEG", 360), patch.object(steps, "search_turned", lambda *_: []):
        yield


def _pictures(people: Sequence[Photo], tilt_deg: int) -> Iterator[tuple[bytes, bytes]]:
    """Yields each person's photo and a forgery of it, tilted, as JPEG."""
    forge = Mixture(people)
    for place, photo in enumerate(people):
        image = read_image(photo.path)
        forged, _ = forge(image, photo.geometry(), np.random.default_rng(place))
        real, fake = (
            cv2.imencode(".jpg", _tilted(one, tilt_deg), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
            for one in (image, forged)
        )
        yield real.tobytes(), fake.tobytes()


def _tilted(image: Image, degrees: int) -> Image:
    """Returns a picture turned clockwise, large enough to show all of it."""
    if degrees % 90 == 0:
        return np.ascontiguousarray(np.rot90(image, -degrees // 90))
    height, width = image.shape[:2]
    side = round(float(np.hypot(height, width)))
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, 1)
    matrix[0, 2] += (side - width) / 2
    matrix[1, 2] += (side - height) / 2
    turned = cv2.warpAffine(image, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(turned, np.uint8)


def _judged(analyzer: Analyzer, picture: bytes) -> InputReport:
    with tempfile.NamedTemporaryFile(suffix=".jpg") as file:
        file.write(picture)
        file.flush()
        return analyzer.analyze_input(file.name)


def _row(real: Sequence[InputReport], forged: Sequence[InputReport]) -> str:
    """Returns the table's columns."""
    shares = [np.mean([one.verdict == verdict for one in real]) for verdict in VERDICTS]
    shares.append(np.mean([one.verdict == "fake" for one in forged]))
    scored = [
        (one.fake_probability, other.fake_probability)
        for one, other in zip(real, forged, strict=True)
        if one.fake_probability is not None and other.fake_probability is not None
    ]
    auc = f"{auc_with_interval(*np.array(scored).T)} ({len(scored)})" if len(scored) > 20 else f"({len(scored)})"
    return " | ".join([*(f"{share:.1%}" for share in shares), auc])


if __name__ == "__main__":
    main()
