"""Faces, scores and forgery maps -> drawn into a picture in the verdicts' colours. All sizes follow the picture's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tinydf_runtime.faces.crop import crop_square_xyxy
from tinydf_runtime.results import InputReport, Label
from tinydf_runtime.types import BoxXYXY, Image

COLOURS: dict[Label, str] = {"real": "#1f78c8", "inconclusive": "#c08a00", "fake": "#d9480f"}
"""Blue, amber and vermilion, as sRGB: told apart with every common kind of colour blindness, on light and on dark."""


@dataclass(frozen=True, slots=True)
class Zones:
    """Thresholds that divide scores into real, inconclusive and fake.

    Attributes:
        threshold: Probability below which a person is real.
        fake_threshold: Probability from which the worst of so many people is called fake.
    """

    threshold: float
    fake_threshold: float

    @classmethod
    def of(cls, item: InputReport, threshold: float) -> Zones:
        """Returns the zones of an input that was judged at a threshold."""
        return cls(threshold, max(threshold, item.fake_threshold or threshold))

    def side(self, probability: float) -> Label:
        """Returns the zone of a score."""
        if probability < self.threshold:
            return "real"
        return "fake" if probability >= self.fake_threshold else "inconclusive"


Colour = tuple[int, int, int]

HEAT_COLOUR: Colour = (200, 20, 255)
"""Magenta: unlike skin, hair and any usual light."""
NO_COLOUR: Colour = (170, 170, 170)
"""For tracks without a verdict."""
PLATE_COLOUR: Colour = (28, 24, 22)
TEXT_COLOUR: Colour = (245, 245, 245)

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_HEAT_OPACITY = 0.6
CLEAR_HEAT = 0.25
"""Forgery map value from which the overlay starts; opacity grows from here on."""


@dataclass(frozen=True, slots=True)
class DrawnFace:
    """A face as it is drawn into one frame.

    Attributes:
        track: Its id.
        box_xyxy: In pixels.
        fake_probability: 0..1.
        side: The zone that the probability lies in, whose colour the face gets.
        forgery_map: h x w, float32, 0..1, over the crop's square; None draws no overlay.
    """

    track: int
    box_xyxy: BoxXYXY
    fake_probability: float
    side: Label
    forgery_map: NDArray[np.float32] | None


@dataclass(frozen=True, slots=True)
class Sizes:
    """Line and letter sizes for a picture."""

    line_px: int
    text_px: int
    pad_px: int

    @classmethod
    def for_picture(cls, height: int, width: int) -> Sizes:
        """Returns sizes that read well from thumbnails to 4K: letters are a thirtieth of the shorter side, or 11 px."""
        short = min(height, width)
        return cls(max(1, round(short / 360)), max(11, round(short / 30)), max(3, round(short / 100)))


def colour_of(side: str) -> Colour:
    """Returns the colour of a verdict or zone, BGR."""
    if side not in COLOURS:
        return NO_COLOUR
    number = int(COLOURS[side].removeprefix("#"), 16)
    return number & 255, number >> 8 & 255, number >> 16


def draw_face(image: Image, face: DrawnFace, margin: float) -> None:
    """Draws one face's forgery map, box and label into ``image``.

    Args:
        image: H x W x 3, BGR, uint8; changed in place.
        face: What to draw.
        margin: The crop's border, as a share of the box's longer side.
    """
    if face.forgery_map is not None:
        draw_heat(image, crop_square_xyxy(face.box_xyxy, margin), face.forgery_map)
    sizes = Sizes.for_picture(*image.shape[:2])
    colour = colour_of(face.side)
    left, top, right, bottom = (round(value) for value in face.box_xyxy)
    draw_corners(image, (left, top, right, bottom), colour, sizes)
    text = f"#{face.track} fake {face.fake_probability:.0%}"
    height = plate_size(text, sizes)[1]
    above = top - height - sizes.line_px
    draw_plate(image, text, (left, above if above >= 0 else bottom + sizes.line_px), colour, sizes)


def draw_heat(image: Image, square: tuple[int, int, int, int], forgery_map: NDArray[np.float32]) -> None:
    """Lays a forgery map over its crop's square, on one scale for all faces: the higher, the more magenta.

    Args:
        image: H x W x 3, BGR, uint8; changed in place.
        square: Left, top, right, bottom in pixels; may reach beyond the picture.
        forgery_map: h x w, float32, 0..1.
    """
    x0, y0, x1, y1 = square
    height, width = image.shape[:2]
    left, top, right, bottom = max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)
    if left >= right or top >= bottom:
        return
    heat = cv2.resize(forgery_map, (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR)
    heat = heat[top - y0 : bottom - y0, left - x0 : right - x0].clip(0, 1)
    opacity = (((heat - CLEAR_HEAT) / (1 - CLEAR_HEAT)).clip(0, 1) * _HEAT_OPACITY)[..., None]
    part = image[top:bottom, left:right]
    part[:] = np.rint(part + (np.array(HEAT_COLOUR, np.float32) - part) * opacity).astype(np.uint8)


def draw_corners(image: Image, box: tuple[int, int, int, int], colour: Colour, sizes: Sizes) -> None:
    """Draws a thin box with strong corners into an H x W x 3 BGR picture; the face stays free to look at."""
    left, top, right, bottom = box
    cv2.rectangle(image, (left, top), (right, bottom), colour, sizes.line_px, cv2.LINE_AA)
    arm = max(2, min(right - left, bottom - top) // 5)
    for x, along in ((left, arm), (right, -arm)):
        for y, down in ((top, arm), (bottom, -arm)):
            cv2.line(image, (x, y), (x + along, y), colour, sizes.line_px * 3, cv2.LINE_AA)
            cv2.line(image, (x, y), (x, y + down), colour, sizes.line_px * 3, cv2.LINE_AA)


def plate_size(text: str, sizes: Sizes) -> tuple[int, int]:
    """Returns width and height in pixels of what ``draw_plate`` draws."""
    scale, weight = _letters(sizes)
    (width, _), _ = cv2.getTextSize(text, _FONT, scale, weight)
    return width + 3 * sizes.pad_px, sizes.text_px + 2 * sizes.pad_px


def draw_plate(image: Image, text: str, corner: tuple[int, int], colour: Colour, sizes: Sizes) -> None:
    """Draws text on a dark plate with a coloured edge, moved so that it lies inside the picture.

    Args:
        image: H x W x 3, BGR, uint8; changed in place.
        text: ASCII, since OpenCV's letters are.
        corner: Left and top of the plate in pixels.
        colour: Of the edge, BGR.
        sizes: Of the picture.
    """
    width, height = plate_size(text, sizes)
    left = max(0, min(corner[0], image.shape[1] - width))
    top = max(0, min(corner[1], image.shape[0] - height))
    shade(image, (left, top, left + width, top + height), 0.8)
    cv2.rectangle(image, (left, top), (left + max(1, sizes.pad_px // 2), top + height - 1), colour, cv2.FILLED)
    scale, weight = _letters(sizes)
    at = (left + round(1.75 * sizes.pad_px), top + sizes.pad_px + round(0.88 * sizes.text_px))
    cv2.putText(image, text, at, _FONT, scale, TEXT_COLOUR, weight, cv2.LINE_AA)


def shade(image: Image, box: tuple[int, int, int, int], opacity: float) -> None:
    """Darkens a rectangle (left, top, right, bottom in pixels) of a picture in place; opacity 0..1."""
    left, top, right, bottom = box
    part = image[max(0, top) : max(0, bottom), max(0, left) : max(0, right)]
    part[:] = np.rint(part * (1 - opacity) + np.array(PLATE_COLOUR) * opacity).astype(np.uint8)


def paint_timeline(
    rows: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]],
    duration_s: float,
    hold_s: float,
    zones: Zones,
    size: tuple[int, int],
) -> Image:
    """Returns one row of coloured scores a track, grey where it was not seen.

    Args:
        rows: For each track its times in seconds and probabilities, both N, in order of time.
        duration_s: Time at the right end.
        hold_s: How long a score is shown before and after its time.
        zones: The zones of the scores.
        size: Width and height in pixels.
    """
    width, height = size
    strip = np.full((height, width, 3), (64, 60, 58), np.uint8)
    middles = (np.arange(width) + 0.5) / width * duration_s
    for i, (times, probabilities) in enumerate(rows):
        top, bottom = round(i * height / len(rows)), round((i + 1) * height / len(rows))
        nearest = np.abs(times[None, :] - middles[:, None]).argmin(axis=1)
        for x in np.flatnonzero(np.abs(times[nearest] - middles) <= max(hold_s, duration_s / width)):
            strip[top : max(top + 1, bottom - 1), x] = colour_of(zones.side(float(probabilities[nearest[x]])))
    return strip


def draw_timeline(image: Image, strip: Image, time_s: float, duration_s: float) -> None:
    """Lays the timeline along the lower edge, with the time and a mark where the frame is, if there is room."""
    sizes = Sizes.for_picture(*image.shape[:2])
    height, width = image.shape[:2]
    text = f"{timecode(time_s)} / {timecode(duration_s)}"
    strip_top = height - sizes.pad_px - strip.shape[0]
    left = (width - strip.shape[1]) // 2
    if min(strip_top, left) < 0:
        return
    shade(image, (0, strip_top - sizes.pad_px, width, height), 0.7)
    image[strip_top : strip_top + strip.shape[0], left : left + strip.shape[1]] = strip
    x = left + round(min(1.0, time_s / max(duration_s, 1e-9)) * (strip.shape[1] - 1))
    ends = ((x, strip_top - sizes.pad_px // 2), (x, strip_top + strip.shape[0] + sizes.pad_px // 2))
    cv2.line(image, *ends, PLATE_COLOUR, sizes.line_px * 3, cv2.LINE_AA)
    cv2.line(image, *ends, TEXT_COLOUR, sizes.line_px, cv2.LINE_AA)
    plate_width, plate_height = plate_size(text, sizes)
    corner = (width - plate_width, strip_top - sizes.pad_px - plate_height)
    draw_plate(image, text, corner, PLATE_COLOUR, sizes)


def timecode(time_s: float) -> str:
    """Returns minutes, seconds and tenths."""
    tenths = round(max(0.0, time_s) * 10)
    return f"{tenths // 600}:{tenths // 10 % 60:02d}.{tenths % 10}"


def _letters(sizes: Sizes) -> tuple[float, int]:
    """Returns OpenCV's scale and line width for letters of ``text_px``; at scale 1 they are 22 px high."""
    return sizes.text_px / 22, max(1, round(sizes.text_px / 14))
