"""A still -> a few frames in which it moves like a filmed face."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from tinydf.data.photometry import as_image
from tinydf_runtime.types import Image

FRAME_SHARES = (0.0, 0.06, 0.2, 0.26, 0.2, 0.1, 0.06, 0.04, 0.03, 0.02, 0.02, 0.01)
"""How often a clip has 1, 2, ... 12 frames. Each costs time, and few suffice for inter-frame coding."""
MOST_FRAMES_AFTER = 3
STILL_SHARE = 0.15
SPEED_RANGE = (0.0003, 0.012)
"""A face's motion per frame, as a share of the image's side: from a speaker to a passer-by."""
TURN_DEG = 0.25
ZOOM = 0.003


@dataclass(frozen=True, slots=True)
class Motion:
    """Motion of a still; the target frame is the still itself, so that boxes and masks stay valid.

    Attributes:
        before: Frames before the target.
        after: Frames after it.
        speed: Of x and y in shares of the image's width a frame, of the angle in degrees, of the logarithm of the zoom.
        acceleration: What each speed gains in a frame.
    """

    before: int
    after: int
    speed: tuple[float, ...]
    acceleration: tuple[float, ...]

    def frames(self, image: Image) -> list[Image]:
        """Returns the clip: ``before`` frames, the still itself, ``after`` frames, all H x W x 3 uint8."""
        return [image if time == 0 else self._moved(image, time) for time in range(-self.before, self.after + 1)]

    def _moved(self, image: Image, time: int) -> Image:
        speed, acceleration = np.array(self.speed), np.array(self.acceleration)
        x, y, angle_deg, log_zoom = speed * time + acceleration * time**2 / 2
        height, width = image.shape[:2]
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle_deg, float(np.exp(log_zoom)))
        matrix[:, 2] += (x * width, y * width)
        # Linear interpolation would make every frame but the target soft, so that the target would be intra-coded.
        moved = cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
        return as_image(moved)


def draw_motion(rng: Generator) -> Motion:
    """Draws the number of frames, target included, and a smooth motion."""
    frames = 1 + int(rng.choice(len(FRAME_SHARES), p=FRAME_SHARES))
    after = int(rng.integers(0, min(frames // 2, MOST_FRAMES_AFTER) + 1))
    direction, pace = rng.uniform(0, 2 * np.pi), np.exp(rng.uniform(*np.log(SPEED_RANGE)))
    if rng.random() < STILL_SHARE:
        return Motion(frames - 1 - after, after, (0.0,) * 4, (0.0,) * 4)
    # Translation and rotation speeds are correlated.
    vigour = min(1.0, pace / SPEED_RANGE[1] + rng.uniform(0, 0.3))
    turn, zoom = rng.normal(0, 0.5, 2) * (TURN_DEG, ZOOM) * vigour
    speed = np.array((pace * np.cos(direction), pace * np.sin(direction), turn, zoom))
    acceleration = speed * rng.normal(0, 0.15, 4)
    return Motion(frames - 1 - after, after, tuple(map(float, speed)), tuple(map(float, acceleration)))
