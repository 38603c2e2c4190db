"""Makes small clips of real and of forged faces, and stores what the shipped network says about every frame.

Run: python scripts/score_made_clips.py FACES SCORES.npz (needs the extra "train"). FACES is a folder of photos as
tinydf-train reads it. A clip is one photo under a moving camera, in changing light, through H.264; where it is forged,
the photo was forged before, so that a real and a forged clip differ in nothing else. What is stored is what
``compare_verdict_rules.py`` judges by one rule after the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import click
import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tinydf.data.families.table import Mixture
from tinydf.data.photometry import add_noise, as_image
from tinydf.data.photos import Photo, read_photos
from tinydf_runtime.crop import crop_face
from tinydf_runtime.detect import FaceDetector
from tinydf_runtime.embedded import DEFAULT_MODEL
from tinydf_runtime.engine import Engine, open_engine
from tinydf_runtime.judging.quality import measure_quality
from tinydf_runtime.judging.recheck import reencode_crop
from tinydf_runtime.reading.picture import read_image
from tinydf_runtime.types import Face, FaceQuality, Image

FPS = 5
WIDTH, HEIGHT = 480, 360
COLUMNS = ("clip", "time_s", "side_px", "detection_score", "logit", "logit_again", *FaceQuality.__slots__)
AGAIN = 6
"""Crops of a clip that are scored once more after being encoded again."""


@click.command()
@click.argument("faces", type=click.Path(path_type=Path, exists=True))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--real", default=400, show_default=True, help="Real clips of each split.")
@click.option("--forged", default=150, show_default=True, help="Forged clips of each split.")
@click.option("--frames", default=24, show_default=True, help="Frames of a clip, at 5 a second.")
def main(faces: Path, out: Path, real: int, forged: int, frames: int) -> None:
    engine, detector = open_engine(DEFAULT_MODEL, threads=1), FaceDetector(threads=1)
    rows: list[NDArray[np.float64]] = []
    clips: list[tuple[str, str, str]] = []
    for split in ("val", "test"):
        photos = [photo for photo in read_photos(faces, split) if not photo.grey]
        order = np.random.default_rng(0).permutation(len(photos))[:real]
        forge = Mixture(photos)
        for place, index in enumerate(order):
            for label in ("real", "fake")[: 1 + (place < forged)]:
                # The same seed: the forged clip moves, is lit and is encoded as the real one is.
                found = score_clip(photos[index], forge if label == "fake" else None, place, frames, engine, detector)
                if len(found) >= frames // 2:
                    rows.append(np.column_stack([np.full(len(found), len(clips)), found]))
                    clips.append((split, label, photos[index].identities[0]))
    np.savez_compressed(out, rows=np.concatenate(rows).astype(np.float32), clips=np.array(clips), columns=COLUMNS)
    click.echo(f"{out}: {len(clips)} clips, {sum(map(len, rows)):,} faces")


def score_clip(
    photo: Photo, forge: Mixture | None, seed: int, frames: int, engine: Engine, detector: FaceDetector
) -> NDArray[np.float64]:
    """Returns a row of ``COLUMNS``, without the first, for each frame in which the face was found."""
    rng, movement = np.random.default_rng((seed, 0)), np.random.default_rng((seed, 1))
    picture, face = read_image(photo.path), photo.faces[0]
    face_px, crf, noise = rng.uniform(60, 200), int(rng.integers(18, 36)), rng.uniform(0, 3)
    if forge is not None:
        picture, _ = forge(picture, photo.geometry(), rng)
    views = move_camera(picture, face, frames, face_px, noise, movement)
    records, crops = [], []
    for index, image in enumerate(through_codec(views, crf)):
        near = [found for found in detector.detect(image) if is_in_middle(found)]
        if near:
            crops.append(crop_face(image, near[0].box_xyxy, engine.spec.crop)[..., ::-1])
            left, top, right, bottom = near[0].box_xyxy
            quality = measure_quality(crops[-1], near[0])
            values = [getattr(quality, name) for name in FaceQuality.__slots__]
            records.append([index / FPS, max(right - left, bottom - top), near[0].score, 0.0, np.nan, *values])
    if not records:
        return np.empty((0, len(COLUMNS) - 1))
    table = np.array(records)
    table[:, 3] = logits(engine, crops)
    again = np.unique(np.linspace(0, len(crops) - 1, AGAIN).round().astype(int))
    table[again, 4] = logits(engine, [reencode_crop(crops[i]) for i in again])
    return table


def move_camera(
    picture: Image, face: Face, frames: int, face_px: float, noise: float, rng: Generator
) -> Iterator[Image]:
    """Yields views of a photo: the camera sways, turns and zooms, the light changes, and the sensor is noisy."""
    left, top, right, bottom = face.box_xyxy
    centre = ((left + right) / 2, (top + bottom) / 2)
    speed, start = rng.uniform(0.1, 0.6, 5), rng.uniform(0, 2 * np.pi, 5)
    for index in range(frames):
        zoom_by, tilt, x, y, light = np.sin(2 * np.pi * speed * index / FPS + start)
        zoom = face_px / max(right - left, bottom - top) * (1 + 0.12 * zoom_by)
        matrix = cv2.getRotationMatrix2D(centre, 5 * tilt, zoom)
        matrix[:, 2] += (WIDTH / 2 - centre[0] + 30 * x, HEIGHT / 2 - centre[1] + 15 * y)
        view = cv2.warpAffine(picture, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT_101)
        yield add_noise(as_image(np.clip(view * (1 + 0.15 * light), 0, 255)), noise, rng)


def through_codec(images: Iterator[Image], crf: int) -> list[Image]:
    """Returns pictures as H.264 keeps them."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = WIDTH, HEIGHT, "yuv420p", Fraction(1, FPS)
    encoder.thread_count = 1
    encoder.options = {"crf": str(crf), "preset": "veryfast", "tune": "zerolatency"}
    packets = [p for image in images for p in encoder.encode(av.VideoFrame.from_ndarray(image, format="bgr24"))]
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    frames = [f for packet in (*packets, *encoder.encode(None)) for f in decoder.decode(packet)] + decoder.decode(None)
    return [as_image(frame.to_ndarray(format="bgr24")) for frame in frames]


def is_in_middle(face: Face) -> bool:
    """Tells whether a face lies over the middle of the picture, where the photo's own is shown."""
    left, top, right, bottom = face.box_xyxy
    return left < WIDTH / 2 + 40 and right > WIDTH / 2 - 40 and top < HEIGHT / 2 + 20 and bottom > HEIGHT / 2 - 20


def logits(engine: Engine, crops: list[Image]) -> NDArray[np.float64]:
    """Returns the network's logit for each crop."""
    batches = [np.stack(crops[i : i + 8]) for i in range(0, len(crops), 8)]
    probability = np.concatenate([engine.score(batch).fake_probability for batch in batches]).astype(np.float64)
    probability = probability.clip(1e-6, 1 - 1e-6)
    return np.log(probability / (1 - probability))


if __name__ == "__main__":
    main()
