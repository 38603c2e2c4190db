"""Photo -> a clip of it: the camera moves, the light changes, and H.264 codes what it sees, once or twice.

A network's scores on such clips are closer to its scores on video than those on photos are: inter-coded frames lose
other detail than a photo that was compressed alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import cv2
import numpy as np
from numpy.random import Generator

from tinydf.data.forgery_types.table import Mixture
from tinydf.data.photometry import add_noise, as_image
from tinydf.data.photos import Photo
from tinydf.data.video_codec import VideoCoding, decode, encode, to_image, to_video
from tinydf_runtime.io.image import read_image
from tinydf_runtime.types import Frame, Image, longer_side

FPS = 10
WIDTH, HEIGHT = 480, 360
FACE_PX = (60.0, 200.0)
"""Longer side of the face in the clip."""
PRESETS = ("medium", "medium", "medium", "veryfast")
CRF = (16, 38)
"""Range of x264's rate factor: from nearly lossless to the coarsest that is still watched."""
SECOND_ENCODE = 0.5
"""Share of the clips that are re-encoded: shrunk, encoded again and enlarged."""


def make_clip(photo: Photo, seed: int, forge: Mixture | None = None, seconds: float = 4.0) -> list[Frame]:
    """Returns a clip of one person.

    The same seed gives the same movement, light, size and coding, so that a real and a forged clip differ in nothing
    else.

    Args:
        photo: Whose main face is shown.
        seed: Of everything that is drawn.
        forge: Forges the photo before; None leaves it real.
        seconds: Length, at ``FPS`` frames a second.
    """
    rng, movement, forging = (np.random.default_rng((seed, part)) for part in range(3))
    picture, face = read_image(photo.path), photo.faces[0]
    face_px, noise = rng.uniform(*FACE_PX), rng.uniform(0, 3)
    if forge is not None:
        picture, _ = forge(picture, photo.geometry(), forging)
    views = _move_camera(picture, face.box_xyxy, round(seconds * FPS), face_px, noise, movement)
    images = _through_codec(views, rng)
    if rng.random() < SECOND_ENCODE:
        size = tuple(2 * round(side * rng.uniform(0.3, 0.5)) for side in (WIDTH, HEIGHT))
        again = _through_codec((_resized(image, size) for image in images), rng)
        images = [_resized(image, (WIDTH, HEIGHT)) for image in again]
    return [Frame(index, index / FPS, image) for index, image in enumerate(images)]


def _move_camera(
    picture: Image, box: tuple[float, float, float, float], frames: int, face_px: float, noise: float, rng: Generator
) -> Iterator[Image]:
    """Yields views of a photo: the camera sways, turns and zooms, the light changes, and the sensor is noisy."""
    left, top, right, bottom = box
    centre = ((left + right) / 2, (top + bottom) / 2)
    speed, start = rng.uniform(0.1, 0.6, 5), rng.uniform(0, 2 * np.pi, 5)
    for index in range(frames):
        zoom_by, tilt, x, y, light = np.sin(2 * np.pi * speed * index / FPS + start)
        zoom = face_px / longer_side(box) * (1 + 0.12 * zoom_by)
        matrix = cv2.getRotationMatrix2D(centre, 5 * tilt, zoom)
        matrix[:, 2] += (WIDTH / 2 - centre[0] + 30 * x, HEIGHT / 2 - centre[1] + 15 * y)
        # What lies beyond the photo is grey: mirrored, it would show the face again.
        view = cv2.warpAffine(picture, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_AREA, borderValue=(90, 90, 90))
        yield add_noise(as_image(np.clip(view * (1 + 0.15 * light), 0, 255)), noise, rng)


def _through_codec(images: Iterable[Image], rng: Generator) -> list[Image]:
    """Returns pictures as H.264 keeps them."""
    coding = VideoCoding("libx264", (("crf", str(rng.integers(*CRF))), ("preset", str(rng.choice(PRESETS)))))
    packets = encode(to_video([*images]), coding, FPS)
    return [to_image(frame) for frame in decode(packets, coding.codec)]


def _resized(image: Image, size: tuple[int, ...]) -> Image:
    return as_image(cv2.resize(image, (size[0], size[1]), interpolation=cv2.INTER_AREA))
