"""Low-resolution decoder imitation: the face as a 48 to 128 px decoder would rebuild it, pasted back.

Face swaps generate a small face and enlarge it (Li & Lyu, "Exposing DeepFake Videos By Detecting Face Warping
Artifacts", CVPR Workshops 2019). The rebuilt face loses detail and grain but keeps its colours and place, so that only
texture gives it away; the default networks never train on this family.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tinydf.data.masks import Mask, draw_mask
from tinydf.data.photometry import as_image
from tinydf.data.selfblend import blend
from tinydf_runtime.types import Image

DECODER_PX = (48, 128)


def imitate_decoder(
    image: Image, landmarks: NDArray[np.float64], rng: Generator, ease: float = 0.0
) -> tuple[Image, Mask]:
    """Returns the forged image and its mask, as ``self_blend`` does; ``ease`` changes nothing here."""
    height, width = image.shape[:2]
    face_px = 2.2 * float(np.linalg.norm(landmarks[1] - landmarks[0]))
    scale = min(0.8, rng.uniform(*DECODER_PX) / face_px)
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    # A decoder paints smooth skin and firm edges: a bilateral filter does the same to what is there.
    smooth = cv2.bilateralFilter(small, 5, rng.uniform(8, 25), 2)
    rebuilt = as_image(cv2.resize(smooth, (width, height), interpolation=cv2.INTER_CUBIC))
    mask = draw_mask(landmarks, height, width, rng)
    return blend(rebuilt, image, mask), mask
