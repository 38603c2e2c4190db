"""Pictures without faces: parts of photos beside their faces, and drawn textures."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tinydf.facedetector.photos import Photo
from tinydf_runtime.types import Image

# Share of a face's size that is kept free around it.
FREE_MARGIN = 0.25


def draw_background(photos: list[Photo], side_px: int, rng: np.random.Generator) -> Image:
    """Returns a square without faces, side x side x 3, BGR, uint8."""
    kind = rng.random()
    if kind < 0.45:
        return _cut_or_texture(photos, side_px, side_px, rng)
    if kind < 0.78:
        return _patchwork(photos, side_px, rng)
    if kind < 0.86:
        return np.full((side_px, side_px, 3), rng.integers(0, 256, 3), np.uint8)
    return draw_texture(side_px, side_px, rng)


def _cut_or_texture(photos: list[Photo], width: int, height: int, rng: np.random.Generator) -> Image:
    for _ in range(3):
        cut = cut_beside_faces(photos[rng.integers(len(photos))], width, height, rng)
        if cut is not None:
            return cut
    return draw_texture(width, height, rng)


def _patchwork(photos: list[Photo], side_px: int, rng: np.random.Generator) -> Image:
    """Two to seven rectangles over one another, each a part of a photo or a texture."""
    canvas = _cut_or_texture(photos, side_px, side_px, rng)
    for _ in range(rng.integers(1, 7)):
        width, height = (int(side_px * rng.uniform(0.15, 0.8)) for _ in range(2))
        x, y = (
            int(rng.integers(-width // 3, side_px - width // 2)),
            int(rng.integers(-height // 3, side_px - height // 2)),
        )
        patch = _cut_or_texture(photos, width, height, rng)[max(-y, 0) :, max(-x, 0) :]
        target = canvas[max(y, 0) : max(y, 0) + patch.shape[0], max(x, 0) : max(x, 0) + patch.shape[1]]
        target[:] = patch[: target.shape[0], : target.shape[1]]
    return canvas


def cut_beside_faces(photo: Photo, width: int, height: int, rng: np.random.Generator) -> Image | None:
    """Returns a part of a photo that touches none of its faces, scaled to the size asked for, or None without one."""
    boxes = np.concatenate((photo.faces[:, :4], photo.doubtful))
    for _ in range(4):
        # Half of the places lie on the photo's side with most room; the rest lie anywhere.
        cut_width = photo.width * rng.uniform(0.15, 0.6)
        cut_height = min(photo.height * 0.9, max(8.0, cut_width * height / width * rng.uniform(0.6, 1.6)))
        x = (
            rng.uniform(0.0, photo.width - cut_width)
            if rng.random() < 0.4
            else rng.choice([0.0, photo.width - cut_width])
        )
        y = rng.uniform(0.0, photo.height - cut_height)
        margin = FREE_MARGIN * boxes[:, 2:].max(1) if len(boxes) else np.zeros(0)
        clear = (
            (boxes[:, 0] - margin >= x + cut_width)
            | (boxes[:, 0] + boxes[:, 2] + margin <= x)
            | (boxes[:, 1] - margin >= y + cut_height)
            | (boxes[:, 1] + boxes[:, 3] + 0.4 * margin <= y)
        )
        if clear.all():
            part = photo.decode()[int(y) : int(y + cut_height), int(x) : int(x + cut_width)]
            if rng.random() < 0.5:
                part = part[:, ::-1]
            if rng.random() < 0.15:
                part = part[::-1]
            return cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)
    return None


def draw_texture(width: int, height: int, rng: np.random.Generator) -> Image:
    """Returns drawn clouds, stripes, shapes or writing, height x width x 3, BGR, uint8."""
    low, high = rng.integers(0, 256, (2, 3))
    share: NDArray[np.floating]
    # Drawn at half the size: twice as coarse, four times as fast.
    wide, high_px = (width + 1) // 2, (height + 1) // 2
    kind = rng.random()
    if kind < 0.35:
        layers = [rng.random((cells, cells), np.float32) / cells**0.5 for cells in (2, 5, 13, 40)]
        grown = [cv2.resize(layer, (wide, high_px), interpolation=cv2.INTER_CUBIC) for layer in layers]
        share = np.sum(grown, axis=0)
        share = (share - share.min()) / max(float(np.ptp(share)), 1e-6)
    else:
        y, x = np.mgrid[:high_px, :wide].astype(np.float32)
        angle = rng.uniform(0.0, np.pi)
        along = x * np.cos(angle) + y * np.sin(angle)
        if kind < 0.6:
            share = (along - along.min()) / max(float(np.ptp(along)), 1e-6)
        else:
            across = y * np.cos(angle) - x * np.sin(angle)
            period = rng.uniform(3.0, 30.0)
            share = 0.5 + 0.5 * np.sin(along * 2 * np.pi / period)
            if rng.random() < 0.5:
                share = share * (0.5 + 0.5 * np.sin(across * 2 * np.pi / period / rng.uniform(0.5, 2.0)))
            if rng.random() < 0.5:
                share = (share > 0.5).astype(np.float32)
    half_size = (low + share[..., None] * (high - low)).clip(0, 255).astype(np.uint8)
    grow = cv2.INTER_LINEAR if rng.random() < 0.7 else cv2.INTER_NEAREST
    canvas: Image = cv2.resize(half_size, (width, height), interpolation=grow).astype(np.uint8, copy=False)
    for _ in range(rng.integers(0, 9)):
        _draw_shape(canvas, rng)
    return canvas


def _draw_shape(canvas: Image, rng: np.random.Generator) -> None:
    """Draws one ellipse, polygon, line or word into the picture."""
    height, width = canvas.shape[:2]
    colour = rng.integers(0, 256, 3).tolist()
    centre = (int(rng.integers(width)), int(rng.integers(height)))
    size = max(width, height) * rng.uniform(0.02, 0.25)
    kind = rng.random()
    if kind < 0.4:
        axes = (int(size) + 1, int(size * rng.uniform(0.4, 1.6)) + 1)
        filled = int(rng.choice([-1, 1, 3]))
        cv2.ellipse(canvas, centre, axes, float(rng.uniform(0, 180)), 0, 360, colour, filled, cv2.LINE_AA)
    elif kind < 0.65:
        corners = np.array(centre) + rng.uniform(-size, size, (int(rng.integers(3, 7)), 2))
        cv2.fillPoly(canvas, [corners.astype(np.int32)], colour, cv2.LINE_AA)
    elif kind < 0.85:
        end = (np.array(centre) + rng.uniform(-3 * size, 3 * size, 2)).astype(int).tolist()
        cv2.line(canvas, centre, tuple(end), colour, int(rng.integers(1, 7)), cv2.LINE_AA)
    else:
        word = "".join(chr(code) for code in rng.integers(33, 122, int(rng.integers(2, 9))))
        cv2.putText(
            canvas, word, centre, int(rng.integers(0, 8)), size / 30 + 0.3, colour, int(rng.integers(1, 4)), cv2.LINE_AA
        )
