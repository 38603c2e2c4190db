"""All photos' faces as one tensor on the device, cut once by the project's own crop."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain

import cv2
import numpy as np
import torch
from torch import Tensor

from tinydf.data.dataset import group_sources
from tinydf.data.ondevice.randomness import Indices, Numbers
from tinydf.data.photos import Photo
from tinydf.data.samples import read_image
from tinydf_runtime.crop import CropRecipe, crop_face, crop_square_xyxy
from tinydf_runtime.types import Image

WINDOW_PX = 288
"""A multiple of 16, which codecs work in."""
SURROUND = 1.39
"""Least side of a window in sides of its face's box: enough for the widest crop that training draws."""
PHOTOS_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class PackedFaces:
    """Windows around faces, ready to be drawn from.

    A window shows its face at the photo's own scale, whatever the face's size, so that codecs, blends and filters work
    on pixels that a camera took; only faces above ``WINDOW_PX / SURROUND`` = 207 px are shrunk to that, as
    ``samples.make_pair`` shrinks them.

    Attributes:
        windows: N x 3 x 288 x 288, RGB, uint8, on the device.
        boxes_xyxy: N x 4, pixels of the window, on the host, as is all that follows.
        landmarks: N x 5 x 2, pixels of the window.
        chances: N: how often each is drawn; they add up to 1.
    """

    windows: Tensor
    boxes_xyxy: Numbers
    landmarks: Numbers
    chances: Numbers

    def draw(self, rng: np.random.Generator, count: int) -> Indices:
        """Draws photos as often as ``dataset.PairSeries`` does."""
        return np.asarray(rng.choice(len(self.chances), count, p=self.chances), dtype=np.int64)


def pack_faces(photos: Sequence[Photo], device: torch.device) -> PackedFaces:
    """Reads the main face of every photo onto the device: 0.25 MB of its memory each.

    Raises:
        UnreadableInputError: A photo cannot be read.
    """
    sources, shares = group_sources(photos)
    ordered = list(chain.from_iterable(sources))
    windows = torch.empty(len(ordered), 3, WINDOW_PX, WINDOW_PX, dtype=torch.uint8, device=device)
    placed: list[Numbers] = []
    # Threads need no OpenCV threads of their own beside them.
    cv2.setNumThreads(1)
    with ThreadPoolExecutor() as readers:
        for first in range(0, len(ordered), PHOTOS_AT_ONCE):
            cut = list(readers.map(cut_window, ordered[first : first + PHOTOS_AT_ONCE]))
            pixels = np.stack([window for window, _ in cut])[..., ::-1].transpose(0, 3, 1, 2)
            windows[first : first + len(cut)].copy_(torch.from_numpy(np.ascontiguousarray(pixels)))
            placed.extend(points for _, points in cut)
    points = np.stack(placed)
    chances = np.concatenate(
        [np.full(len(group), share / len(group)) for group, share in zip(sources, shares, strict=True)]
    )
    return PackedFaces(windows, points[:, :2].reshape(-1, 4), points[:, 2:], chances)


def cut_window(photo: Photo) -> tuple[Image, Numbers]:
    """Cuts the window of a photo's main face.

    Returns:
        288 x 288 x 3, BGR, uint8, and 7 x 2 points in its pixels: the box's corners, then the landmarks.

    Raises:
        UnreadableInputError: The photo cannot be read.
    """
    face = photo.faces[0]
    left, top, right, bottom = face.box_xyxy
    half = max(WINDOW_PX, round(max(right - left, bottom - top) * SURROUND)) / 2
    x, y = (left + right) / 2, (top + bottom) / 2
    square = (x - half, y - half, x + half, y + half)
    window = crop_face(read_image(photo), square, CropRecipe(WINDOW_PX, margin=0.0))
    x0, y0, x1, _ = crop_square_xyxy(square, 0.0)
    points = np.array(((left, top), (right, bottom), *face.landmarks))
    return window, (points - (x0, y0)) * (WINDOW_PX / (x1 - x0))
