"""Synthetic graphics without faces: what television, screens and cartoons put into a picture."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from tinydf.facedetector.backgrounds import draw_texture
from tinydf_runtime.types import Image

Draw = Callable[[Image, np.random.Generator], None]
_LETTERS = list("AAABCDEEEEFGHIIJKLMNNOOPQRRSSTTUUVWXYZaaabcdeeeefghiijklmnnooopqrrssttuuvwxyz0123456789:.,-!?&%")


def draw_graphics(image: Image, rng: np.random.Generator) -> None:
    """Draws one to four graphics into a picture (H x W x 3, BGR, uint8)."""
    for _ in range(rng.integers(1, 5)):
        kinds: tuple[Draw, ...] = (_strip, _bug, _cartoon, _writing, _panel, _dial)
        kinds[rng.choice(len(kinds), p=(0.24, 0.22, 0.2, 0.14, 0.12, 0.08))](image, rng)


def _colour(rng: np.random.Generator) -> tuple[int, int, int]:
    if rng.random() < 0.4:
        grey = int(rng.choice([0, 255, int(rng.integers(256))]))
        return grey, grey, grey
    blue, green, red = rng.integers(0, 256, 3).tolist()
    return blue, green, red


def _word(rng: np.random.Generator, most: int) -> str:
    return "".join(rng.choice(_LETTERS, rng.integers(1, most + 1)).tolist())


def _write(image: Image, words: str, corner: tuple[int, int], height: float, rng: np.random.Generator) -> None:
    """Writes with the lower left corner at a place; height of capitals in pixels; at times with an outline."""
    font, colour = int(rng.choice([0, 1, 2, 3, 4, 6, 7])), _colour(rng)
    thickness = max(1, round(height / rng.uniform(5, 12)))
    if rng.random() < 0.3:
        cv2.putText(image, words, corner, font, height / 21, _colour(rng), thickness + 2, cv2.LINE_AA)
    cv2.putText(image, words, corner, font, height / 21, colour, thickness, cv2.LINE_AA)


def _blend(image: Image, low: tuple[int, int], high: tuple[int, int], laid: Image, share: float) -> None:
    """Lays a picture over the part between two corners, which may lie partly outside."""
    x0, y0, x1, y1 = max(low[0], 0), max(low[1], 0), min(high[0], image.shape[1]), min(high[1], image.shape[0])
    if x1 <= x0 or y1 <= y0:
        return
    laid = laid[y0 - low[1] : y1 - low[1], x0 - low[0] : x1 - low[0]]
    image[y0:y1, x0:x1] = cv2.addWeighted(image[y0:y1, x0:x1], 1 - share, laid, share, 0)


def _bar(width: int, height: int, rng: np.random.Generator) -> Image:
    """Returns one colour running into another."""
    ends = np.array([[_colour(rng), _colour(rng) if rng.random() < 0.5 else (0, 0, 0)]], np.uint8)
    if rng.random() < 0.4:
        ends[0, 1] = ends[0, 0]
    if rng.random() < 0.3:
        ends = ends.transpose(1, 0, 2)
    return np.asarray(cv2.resize(ends, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _strip(image: Image, rng: np.random.Generator) -> None:
    """Lower third, ticker or headline: one to three bars with writing and at times a logo at one end."""
    height, width = image.shape[:2]
    long = max(24, int(width * (1.0 if rng.random() < 0.4 else rng.uniform(0.25, 0.8))))
    left = 0 if long == width else int(rng.integers(-10, max(width - long, 1)))
    low = int(height * (rng.uniform(0.6, 0.93) if rng.random() < 0.75 else rng.uniform(0.0, 0.1)))
    share = float(rng.choice([1.0, rng.uniform(0.4, 0.95)]))
    for _ in range(rng.integers(1, 4)):
        high = max(6, int(height * rng.uniform(0.03, 0.13)))
        _blend(image, (left, low), (left + long, low + high), _bar(long, high, rng), share)
        words = " ".join(_word(rng, 9) for _ in range(rng.integers(1, 9)))
        _write(image, words, (left + high // 2, low + int(high * 0.78)), high * rng.uniform(0.35, 0.65), rng)
        if rng.random() < 0.4:
            end = left + int(rng.choice([0, max(long - high * 2, 0)]))
            _blend(image, (end, low), (end + 2 * high, low + high), _bar(2 * high, high, rng), 1.0)
            _write(image, _word(rng, 3), (end + 2, low + int(high * 0.8)), high * 0.6, rng)
        low += high


def _bug(image: Image, rng: np.random.Generator) -> None:
    """A channel's logo: overlaid rounds and polygons with a few letters, mostly in a corner, often half transparent."""
    height, width = image.shape[:2]
    side = max(12, int(max(height, width) * rng.uniform(0.05, 0.2)))
    layer = np.full((side, side, 3), _colour(rng), np.uint8)
    mask = np.zeros((side, side), np.uint8)
    for _ in range(rng.integers(1, 5)):
        middle = tuple((side * rng.uniform(0.3, 0.7, 2)).astype(int).tolist())
        half = (side * rng.uniform(0.1, 0.48, 2)).astype(int)
        filled = int(rng.choice([-1, -1, max(1, side // 14)]))
        if rng.random() < 0.6:
            shape = (middle, tuple(half.tolist()), float(rng.uniform(0, 180)), 0, 360)
            cv2.ellipse(layer, *shape, _colour(rng), filled, cv2.LINE_AA)
            cv2.ellipse(mask, *shape, 255, filled)
        else:
            corners = (np.array(middle) + rng.uniform(-1, 1, (int(rng.integers(3, 6)), 2)) * half).astype(np.int32)
            cv2.fillPoly(layer, [corners], _colour(rng), cv2.LINE_AA)
            cv2.fillPoly(mask, [corners], 255)
    if rng.random() < 0.7:
        before = layer.copy()
        _write(layer, _word(rng, 4), (side // 8, int(side * 0.65)), side * rng.uniform(0.2, 0.45), rng)
        mask[(layer != before).any(2)] = 255
    x, y = (int(edge) for edge in rng.uniform(0, 1, 2) * (width - side, height - side))
    if rng.random() < 0.6:
        x, y = int(rng.choice([side // 4, width - side - side // 4])), int(rng.choice([side // 4, height - side]))
    x, y = max(x, 0), max(y, 0)
    part = image[y : y + side, x : x + side]
    layer, mask = layer[: part.shape[0], : part.shape[1]], mask[: part.shape[0], : part.shape[1]]
    mixed = cv2.addWeighted(part, share := rng.choice([0.0, rng.uniform(0, 0.6)]), layer, 1 - share, 0)
    part[mask > 0] = mixed[mask > 0]


def _cartoon(image: Image, rng: np.random.Generator) -> None:
    """A face of few lines: smiley, mascot, mask, front of a house or a car. Two eyes over a mouth are not a person."""
    height, width = image.shape[:2]
    side = int(np.exp(rng.uniform(np.log(10), np.log(0.5 * min(height, width)))))
    x, y = rng.integers(0, width), rng.integers(0, height)
    skin, ink, wide = _colour(rng), _colour(rng), rng.uniform(0.6, 1.3)
    line, flat = max(1, side // 18), rng.random() < 0.3
    half = (max(2, int(side * wide / 2)), max(2, side // 2))
    if flat:
        cv2.rectangle(image, (int(x - half[0]), int(y - half[1])), (int(x + half[0]), int(y + half[1])), skin, -1)
    else:
        cv2.ellipse(image, (int(x), int(y)), half, float(rng.normal(0, 8)), 0, 360, skin, -1, cv2.LINE_AA)
    if rng.random() < 0.5:
        cv2.ellipse(image, (int(x), int(y)), half, 0, 0, 360, ink, line, cv2.LINE_AA)
    eye = (max(1, int(side * rng.uniform(0.03, 0.13))), max(1, int(side * rng.uniform(0.03, 0.15))))
    apart, above = side * wide * rng.uniform(0.15, 0.3), side * rng.uniform(0.05, 0.25)
    for sign in (-1, 1):
        place = (int(x + sign * apart), int(y - above))
        if flat:
            (low_x, low_y), (high_x, high_y) = ((np.array(place) + way * np.array(eye)).tolist() for way in (-1, 1))
            cv2.rectangle(image, (low_x, low_y), (high_x, high_y), ink, -1)
        else:
            white = (255, 255, 255) if rng.random() < 0.5 else ink
            cv2.ellipse(image, place, eye, 0, 0, 360, white, -1, cv2.LINE_AA)
            cv2.circle(image, place, max(1, eye[0] // 2), ink, -1, cv2.LINE_AA)
    mouth = (int(x), int(y + side * rng.uniform(0.1, 0.3)))
    lips = (max(1, int(side * wide * rng.uniform(0.08, 0.3))), max(1, int(side * rng.uniform(0.02, 0.15))))
    start, end = ((0, 180), (180, 360), (0, 360))[rng.integers(3)]
    cv2.ellipse(image, mouth, lips, 0, start, end, ink, int(rng.choice([-1, line])), cv2.LINE_AA)
    if rng.random() < 0.4:
        cv2.ellipse(image, (int(x), int(y)), half, 0, 190, 350, _colour(rng), line * 4, cv2.LINE_AA)


def _writing(image: Image, rng: np.random.Generator) -> None:
    """Several lines of words anywhere: a page, a sign, a subtitle."""
    height, width = image.shape[:2]
    tall = rng.uniform(0.015, 0.12) * height + 3
    x, y = int(rng.uniform(-0.1, 0.7) * width), int(rng.uniform(0.05, 0.9) * height)
    for row in range(rng.integers(1, 7)):
        words = " ".join(_word(rng, 8) for _ in range(rng.integers(1, 6)))
        _write(image, words, (x, int(y + row * tall * 1.7)), tall, rng)


def _panel(image: Image, rng: np.random.Generator) -> None:
    """A grid of screens or windows."""
    height, width = image.shape[:2]
    columns, rows = rng.integers(1, 4, 2).tolist()
    wide, high = (max(8, int(side * rng.uniform(0.06, 0.3))) for side in (width, height))
    x, y, gap = int(rng.uniform(-0.1, 0.8) * width), int(rng.uniform(-0.1, 0.8) * height), int(rng.integers(0, 8))
    frame = (columns * (wide + gap) + gap, rows * (high + gap) + gap)
    _blend(image, (x, y), (x + frame[0], y + frame[1]), _bar(*frame, rng), 1.0)
    for column in range(columns):
        for row in range(rows):
            corner = (x + gap + column * (wide + gap), y + gap + row * (high + gap))
            inside = draw_texture(wide, high, rng) if rng.random() < 0.4 else _bar(wide, high, rng)
            _blend(image, corner, (corner[0] + wide, corner[1] + high), inside, 1.0)


def _dial(image: Image, rng: np.random.Generator) -> None:
    """A clock, dial or wheel: rings, spokes and ticks around a middle."""
    height, width = image.shape[:2]
    reach = max(5, int(min(height, width) * rng.uniform(0.03, 0.25)))
    middle = (int(rng.integers(0, width)), int(rng.integers(0, height)))
    cv2.circle(image, middle, reach, _colour(rng), -1, cv2.LINE_AA)
    ink = _colour(rng)
    cv2.circle(image, middle, reach, ink, max(1, reach // 10), cv2.LINE_AA)
    inner = rng.uniform(0.0, 0.9)
    for angle in np.linspace(0, 2 * np.pi, int(rng.integers(2, 13)), endpoint=False) + rng.uniform(0, np.pi):
        way = np.array([np.cos(angle), np.sin(angle)]) * reach
        (near_x, near_y), (far_x, far_y) = (
            (np.array(middle) + way * share).astype(int).tolist() for share in (inner, 0.92)
        )
        cv2.line(image, (near_x, near_y), (far_x, far_y), ink, max(1, reach // 14), cv2.LINE_AA)
