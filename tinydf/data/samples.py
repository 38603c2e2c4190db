"""Photo -> pair of training crops, one real and one forged, alike in all but the forgery."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from tinydf.data.degrade import Degradation, draw_degradation
from tinydf.data.forgery_types.blending import Forger
from tinydf.data.forgery_types.self_blend import change_look, self_blend
from tinydf.data.geometry import FaceGeometry
from tinydf.data.masks import Mask
from tinydf.data.photometry import as_image
from tinydf.data.photos import Photo
from tinydf_runtime.faces.crop import CropConfig, crop_face
from tinydf_runtime.io.image import read_image
from tinydf_runtime.types import BoxXYXY, Image, longer_side

WINDOW_MARGIN = 0.45
"""Surround that is forged and degraded with a face: enough for the widest crop that ``_jitter`` draws, .27 at a crop
margin of .125, and for what blurs, warps and codecs carry in from the window's border."""
MAX_WINDOW_PX = 352


@dataclass(frozen=True, slots=True)
class Pair:
    """A real and a forged crop of one face.

    Attributes:
        real: S x S x 3, RGB, uint8.
        forged: S x S x 3, RGB, uint8, under the same degradations.
        mask: S x S, float32, 0..1: where ``forged`` was replaced; NaN where unknown.
    """

    real: Image
    forged: Image
    mask: Mask


def make_pair(
    photo: Photo,
    crop_config: CropConfig,
    rng: Generator,
    forge: Forger = self_blend,
    coarseness: float = 0.0,
    draw: Callable[[Generator], Degradation] = draw_degradation,
) -> Pair:
    """Forges a photo's main face, degrades both versions alike and crops them.

    Args:
        photo: The photo.
        crop_config: The crop; ``side_px`` may be smaller than the shipped network's.
        rng: Source of all randomness.
        forge: Makes the forgery.
        coarseness: Passed to ``forge``.
        draw: Draws what happens to both versions.

    Raises:
        UnreadableInputError: The photo cannot be read.
    """
    window, box_xyxy, geometry = _cut_window(photo)
    if rng.random() < 0.5:
        window, box_xyxy, geometry = _mirror(window, box_xyxy, geometry)
    # Global changes apply to real and forged alike: only a local difference is a trace.
    if rng.random() < 0.4:
        window = change_look(window, rng)
    forged, mask = forge(window, geometry, rng, coarseness)
    degrade = draw(rng)
    box = _jitter(box_xyxy, rng)
    scaled_mask = np.repeat((mask * 255).astype(np.uint8)[..., None], 3, axis=2)
    return Pair(
        _crop(degrade(window), window, box, geometry, crop_config),
        _crop(degrade(forged), window, box, geometry, crop_config),
        _crop(scaled_mask, window, box, geometry, crop_config)[..., 0].astype(np.float32) / np.float32(255),
    )


def make_labelled_pair(real: Photo, fake: Photo, crop_config: CropConfig, rng: Generator) -> Pair:
    """Degrades a real and a forged picture alike and crops them; the forged region is unknown.

    Args:
        real: A picture of an unaltered face.
        fake: A forged one.
        crop_config: The crop.
        rng: Source of all randomness.

    Returns:
        A pair whose mask is NaN.

    Raises:
        UnreadableInputError: A picture cannot be read.
    """
    mirrored, degrade = rng.random() < 0.5, draw_degradation(rng)
    shift = rng.integers(2**32)
    crops = []
    for picture in (real, fake):
        window, box_xyxy, geometry = _cut_window(picture)
        if mirrored:
            window, box_xyxy, geometry = _mirror(window, box_xyxy, geometry)
        # Both boxes move alike, as one detector's would.
        box = _jitter(box_xyxy, np.random.default_rng(shift))
        crops.append(_crop(degrade(window), window, box, geometry, crop_config))
    unknown = np.full((crop_config.side_px, crop_config.side_px), np.nan, np.float32)
    return Pair(crops[0], crops[1], unknown)


def cut_patch(pair: Pair, side_px: int, rng: Generator) -> Pair:
    """Cuts the same window out of both crops and the mask, around a random place that was forged.

    A patch trains the same textures at the same scale as the whole crop, at the cost of its area.
    """
    known = np.ones_like(pair.mask) if np.isnan(pair.mask[0, 0]) else pair.mask
    forged_y, forged_x = np.nonzero(known >= 0.5 * known.max())
    chosen = rng.integers(len(forged_y))
    limit = pair.mask.shape[0] - side_px
    jitter_y, jitter_x = rng.uniform(-0.4, 0.4, 2) * side_px
    y = int(np.clip(forged_y[chosen] - side_px / 2 + jitter_y, 0, limit))
    x = int(np.clip(forged_x[chosen] - side_px / 2 + jitter_x, 0, limit))
    window = np.s_[y : y + side_px, x : x + side_px]
    return Pair(pair.real[window], pair.forged[window], pair.mask[window])


def _cut_window(photo: Photo) -> tuple[Image, BoxXYXY, FaceGeometry]:
    """Cuts the face with its surround; large ones are shrunk, small ones keep their pixels."""
    left, top, right, bottom = box_xyxy = photo.faces[0].box_xyxy
    side = longer_side(box_xyxy) * (1 + 2 * WINDOW_MARGIN)
    side_px = min(MAX_WINDOW_PX, round(side))
    window = crop_face(read_image(photo.path), box_xyxy, CropConfig(side_px, WINDOW_MARGIN))
    scale, x0, y0 = side_px / side, (left + right - side) / 2, (top + bottom - side) / 2
    box = ((left - x0) * scale, (top - y0) * scale, (right - x0) * scale, (bottom - y0) * scale)
    return window, box, photo.geometry().moved((x0, y0), scale)


def _mirror(window: Image, box_xyxy: BoxXYXY, geometry: FaceGeometry) -> tuple[Image, BoxXYXY, FaceGeometry]:
    width = window.shape[1]
    left, top, right, bottom = box_xyxy
    return as_image(cv2.flip(window, 1)), (width - right, top, width - left, bottom), geometry.mirrored(width)


def _jitter(box_xyxy: BoxXYXY, rng: Generator) -> BoxXYXY:
    """Jitters a box by as much as detectors disagree."""
    left, top, right, bottom = box_xyxy
    side = longer_side(box_xyxy)
    half_width, half_height = ((right - left) / 2, (bottom - top) / 2) * np.array(rng.uniform(0.9, 1.15))
    x, y = np.array(((left + right) / 2, (top + bottom) / 2)) + rng.uniform(-0.05, 0.05, 2) * side
    return float(x - half_width), float(y - half_height), float(x + half_width), float(y + half_height)


def _crop(image: Image, window: Image, box_xyxy: BoxXYXY, geometry: FaceGeometry, crop_config: CropConfig) -> Image:
    """Crops a degraded version of the window, whose scale may have changed."""
    scale = image.shape[1] / window.shape[1]
    left, top, right, bottom = (value * scale for value in box_xyxy)
    landmarks = tuple((x * scale, y * scale) for x, y in geometry.landmarks.tolist())
    crop = crop_face(image, (left, top, right, bottom), crop_config, landmarks)
    return as_image(cv2.cvtColor(crop, cv2.COLOR_BGR2RGB))
