"""Scenes and portraits -> frames like a broadcast's, with graphics over them, coded as H.264."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from tinydf.data.video_codec import h264_round_trip
from tinydf.facedetector.backgrounds import draw_texture
from tinydf.facedetector.graphics import draw_graphics
from tinydf.facedetector.mosaic import Canvas, Composer, Sample, log_uniform, similarity
from tinydf.facedetector.photos import Photo
from tinydf_runtime.types import Image

WIDTH_PX, HEIGHT_PX = 640, 384
CRF = (23, 36)


def video_frames(scenes: list[Photo], portraits: list[Photo], count: int, seed: int) -> Iterator[Sample]:
    """Yields frames of 640 x 384 px, alternating scenes with their own people and portraits before a scene.

    Args:
        scenes: In their order, over and over.
        portraits: Each with at least one face.
        count: Frames.
        seed: Of all choices.
    """
    people = Composer(portraits)
    for index in range(count):
        rng = np.random.default_rng((seed, 9, index))
        canvas = Canvas(draw_texture(WIDTH_PX, HEIGHT_PX, rng))
        _cover(canvas, scenes[index % len(scenes)], rng)
        if index % 2:
            for _ in range(rng.integers(1, 4)):
                people.lay_head(canvas, log_uniform(rng, 24.0, 220.0), rng)
        if rng.random() < 0.6:
            canvas.draw_over(lambda image, rng=rng: draw_graphics(image, rng))  # type: ignore[misc]
        yield canvas.finish(h264_round_trip(canvas.image, int(rng.integers(*CRF))))


def _cover(canvas: Canvas, scene: Photo, rng: np.random.Generator) -> None:
    """Lays a scene over the whole frame, its middle mostly in the middle."""
    scale = max(WIDTH_PX / scene.width, HEIGHT_PX / scene.height) * rng.uniform(1.0, 1.2)
    spare = np.array([scene.width * scale - WIDTH_PX, scene.height * scale - HEIGHT_PX])
    target = -spare * rng.uniform(0.2, 0.8, 2)
    matrix = similarity(np.zeros(2, np.float32), target.astype(np.float32), scale, 0.0, False)
    canvas.paste(scene, matrix, 0.0, False, np.array([0, 0, WIDTH_PX, HEIGHT_PX], np.float32), head_only=False)


def halved(frame: Sample) -> Sample:
    """Returns a frame of half the sides, its labels with it."""
    small: Image = cv2.resize(frame.image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA).astype(np.uint8)
    half = np.float32(0.5)
    return Sample(small, frame.boxes_xyxy * half, frame.landmarks * half, frame.doubtful_xyxy * half)
