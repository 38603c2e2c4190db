"""Photos -> training pictures with faces of 10 px to full frame anywhere, and the places that are in doubt.

The photos show one face each, in the middle and at one size; what a camera sees does not. So every picture is composed:
one photo as it is, one at any scale on a strange background, a mosaic of several, a crowd of cut-out heads, or no face.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tinydf.facedetector.backgrounds import draw_background, draw_texture
from tinydf.facedetector.degrade import degrade
from tinydf.facedetector.photos import Photo
from tinydf_runtime.types import Image

Floats = NDArray[np.float32]
# Right and left eye, right and left mouth corner change places in a mirror.
MIRRORED = [1, 0, 2, 4, 3]
SMALLEST_FACE_PX = 8.0
MOST_FACES = 24
SOURCE_POWER = 0.7


@dataclass(frozen=True, slots=True)
class Sample:
    """A training picture.

    Attributes:
        image: side x side x 3, BGR, uint8.
        boxes_xyxy: F x 4, float32, pixels.
        landmarks: F x 5 x 2, float32, pixels.
        doubtful_xyxy: D x 4, float32, pixels: neither face nor background.
    """

    image: Image
    boxes_xyxy: Floats
    landmarks: Floats
    doubtful_xyxy: Floats


class Canvas:
    """A picture in the making: photos are laid over one another and their labels kept in step."""

    def __init__(self, background: Image) -> None:
        self.image = background
        self._boxes: Floats = np.zeros((0, 4), np.float32)
        self._points: Floats = np.zeros((0, 5, 2), np.float32)
        self._doubtful: Floats = np.zeros((0, 4), np.float32)

    def free(self, box: Floats) -> bool:
        """Returns whether a box (xyxy) touches no face so far."""
        others = np.concatenate((self._boxes, self._doubtful))
        return not ((others[:, :2] < box[2:]) & (others[:, 2:] > box[:2])).all(1).any()

    def paste(
        self, photo: Photo, matrix: Floats, angle: float, mirrored: bool, region: Floats, head_only: bool
    ) -> None:
        """Lays a photo over the picture.

        Args:
            photo: What is laid.
            matrix: 2 x 3: pixel of the photo -> pixel of the picture.
            angle: Rotation in the matrix, radians.
            mirrored: Whether the matrix mirrors.
            region: Left, top, right, bottom in the picture: nothing is laid outside.
            head_only: Lay only a soft ellipse around the largest face instead of the whole photo.
        """
        scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
        boxes, points = move_faces(photo.faces, matrix, angle, mirrored)
        doubtful = move_boxes(photo.doubtful, matrix, angle)
        corners = np.array([[0, 0], [photo.width, 0], [photo.width, photo.height], [0, photo.height]], np.float32)
        corners = corners @ matrix[:, :2].T + matrix[:, 2]
        if head_only and len(boxes):
            head = _head_of(boxes[0])
            region = np.concatenate((np.maximum(region[:2], head[:2]), np.minimum(region[2:], head[2:])))
        side_y, side_x = self.image.shape[:2]
        low = np.floor(np.maximum(np.maximum(corners.min(0), region[:2]), 0)).astype(int)
        high = np.ceil(np.minimum(np.minimum(corners.max(0), region[2:]), (side_x, side_y))).astype(int)
        width, height = (high - low).tolist()
        if width < 2 or height < 2:
            return
        shrink = 4 if scale < 0.25 else 2 if scale < 0.5 else 1
        inner = matrix.copy()
        inner[:, :2] *= shrink
        inner[:, 2] -= low
        laid = cv2.warpAffine(photo.decode(shrink), inner, (width, height), flags=cv2.INTER_LINEAR)
        target = self.image[low[1] : high[1], low[0] : high[0]]
        mask = np.zeros((height, width), np.uint8)
        if head_only and len(boxes):
            middle, half = (head[:2] + head[2:]) / 2 - low, (head[2:] - head[:2]) / 2
            cv2.fillConvexPoly(mask, np.rint(corners - low).astype(np.int32), 255)
            oval = np.zeros_like(mask)
            cv2.ellipse(
                oval, np.rint(middle).astype(int).tolist(), (half * 0.88).astype(int).tolist(), 0, 0, 360, 255, -1
            )
            mask = cv2.blur(cv2.bitwise_and(mask, oval), (max(3, int(half[0] / 4)), max(3, int(half[0] / 4))))
            share = mask.astype(np.float32)[..., None] / 255
            target[:] = (target + share * (laid.astype(np.float32) - target)).astype(np.uint8)
        else:
            # A little inside, where the border has not been mixed with black.
            centre = corners.mean(0)
            cv2.fillConvexPoly(mask, np.rint(centre + (corners - centre) * 0.995 - low).astype(np.int32), 255)
            cv2.copyTo(laid, mask, target)
        self._hide_covered(mask, low)
        limits = np.concatenate((np.maximum(region[:2], 0), np.minimum(region[2:], (side_x, side_y))))
        self._add(boxes, points, doubtful, limits.astype(np.float32), head_only)

    def _hide_covered(self, mask: Image, low: NDArray[np.int64]) -> None:
        """Faces that the new photo covers in part become doubtful; those that it covers whole are forgotten."""
        keep = np.ones(len(self._boxes), bool)
        for index, box in enumerate(self._boxes):
            x0, y0, x1, y1 = np.rint(box - np.tile(low, 2)).astype(int).clip(0).tolist()
            area = max(float((box[2:] - box[:2]).prod()), 1.0)
            covered = float(np.count_nonzero(mask[y0:y1, x0:x1])) / area
            keep[index] = covered < 0.3
            if 0.3 <= covered < 0.9:
                self._doubtful = np.concatenate((self._doubtful, box[None]))
        self._boxes, self._points = self._boxes[keep], self._points[keep]

    def _add(self, boxes: Floats, points: Floats, doubtful: Floats, region: Floats, first_only: bool) -> None:
        """Keeps what is seen inside the region: half a face or more is a face, less of it is doubtful."""
        clipped = np.concatenate(
            (boxes[:, :2].clip(region[:2], region[2:]), boxes[:, 2:].clip(region[:2], region[2:])), 1
        )
        seen = (clipped[:, 2:] - clipped[:, :2]).prod(1) / np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(1), 1e-3)
        size = (clipped[:, 2:] - clipped[:, :2]).max(1, initial=0.0)
        good = (seen >= 0.55) & (size >= SMALLEST_FACE_PX)
        if first_only:
            good[1:] = False
        unsure = ~good & (seen > 0.08)
        self._boxes = np.concatenate((self._boxes, clipped[good]))
        self._points = np.concatenate((self._points, points[good]))
        self._doubtful = np.concatenate((self._doubtful, clipped[unsure], doubtful))

    def draw_over(self, draw: Callable[[Image], None]) -> None:
        """Lets a function draw on the picture; faces that it covers are no longer there, or in doubt."""
        before = self.image.copy()
        draw(self.image)
        changed = (self.image != before).any(2).astype(np.uint8)
        self._hide_covered(changed, np.zeros(2, np.int64))

    def finish(self, image: Image) -> Sample:
        """Returns the picture with its labels.

        Args:
            image: The picture after degradation, of the same size.
        """
        return Sample(image, self._boxes[:MOST_FACES], self._points[:MOST_FACES], self._doubtful)


def _head_of(box: Floats) -> Floats:
    """Returns the box (xyxy) of the head around a face."""
    width, height = box[2:] - box[:2]
    return box + np.array([-0.45 * width, -0.45 * height, 0.45 * width, 0.3 * height], np.float32)


def move_boxes(boxes_xywh: Floats, matrix: Floats, angle: float) -> Floats:
    """Returns upright boxes (xyxy) around turned ones: those of the ellipses inscribed in the boxes.

    Args:
        boxes_xywh: F x 4 in pixels before.
        matrix: 2 x 3, a similarity.
        angle: Rotation in the matrix, radians.
    """
    centre = (boxes_xywh[:, :2] + boxes_xywh[:, 2:4] / 2) @ matrix[:, :2].T + matrix[:, 2]
    half = boxes_xywh[:, 2:4] / 2 * np.sqrt(abs(np.linalg.det(matrix[:, :2])))
    turn = np.array([[np.cos(angle) ** 2, np.sin(angle) ** 2], [np.sin(angle) ** 2, np.cos(angle) ** 2]])
    half = np.sqrt(half**2 @ turn)
    return np.concatenate((centre - half, centre + half), 1).astype(np.float32)


def move_faces(faces: Floats, matrix: Floats, angle: float, mirrored: bool) -> tuple[Floats, Floats]:
    """Returns boxes (F x 4, xyxy) and points (F x 5 x 2) after a similarity, from rows of ``Photo.faces``."""
    points = faces[:, 4:14].reshape(-1, 5, 2) @ matrix[:, :2].T + matrix[:, 2]
    points = points[:, MIRRORED] if mirrored else points
    return move_boxes(faces[:, :4], matrix, angle), points.astype(np.float32)


def similarity(source: Floats, target: Floats, scale: float, angle: float, mirrored: bool) -> Floats:
    """Returns the 2 x 3 matrix that brings a point onto another, scaled, turned (radians), perhaps mirrored first."""
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if mirrored:
        turn = turn @ np.diag([-1.0, 1.0])
    return np.concatenate((turn, (target - turn @ source)[:, None]), 1).astype(np.float32)


class Urn:
    """Photos to draw from: sources by their number of photos to a power, so that a large one does not drown the rest.

    Args:
        photos: At least one.
        source_weights: By source, a factor for how often it is drawn; 1 where none is given.
    """

    def __init__(self, photos: list[Photo], source_weights: Mapping[str, float] | None = None) -> None:
        self._photos = photos
        sources = sorted({photo.source for photo in photos})
        self._groups = [[i for i, photo in enumerate(photos) if photo.source == source] for source in sources]
        factors = [(source_weights or {}).get(source, 1.0) for source in sources]
        weights = np.array([len(group) ** SOURCE_POWER for group in self._groups]) * factors
        self._weights = weights / weights.sum()

    def draw(self, rng: np.random.Generator) -> Photo:
        """Returns one photo."""
        group = self._groups[rng.choice(len(self._groups), p=self._weights)]
        return self._photos[group[rng.integers(len(group))]]


class Composer:
    """Draws training pictures from photos.

    Args:
        photos: At least one, each with at least one face.
        surroundings: Photos whose faceless parts are backgrounds too.
    """

    def __init__(self, photos: list[Photo], surroundings: list[Photo] | None = None) -> None:
        self._photos = photos + (surroundings or [])
        self._urn = Urn(photos)

    def compose(self, side_px: int, rng: np.random.Generator) -> Sample:
        """Returns one picture of side x side pixels; equal generators give equal pictures."""
        kind = rng.random()
        whole = np.array([0, 0, side_px, side_px], np.float32)
        if kind < 0.22:
            canvas = Canvas(np.zeros((side_px, side_px, 3), np.uint8))
            self._lay_whole(canvas, whole, rng)
        else:
            canvas = Canvas(draw_background(self._photos, side_px, rng))
            if kind < 0.5:
                self._lay_scaled(canvas, whole, log_uniform(rng, 14.0, 0.9 * side_px), rng)
                for _ in range(rng.integers(0, 4)):
                    self.lay_head(canvas, log_uniform(rng, 12.0, 0.3 * side_px), rng)
            elif kind < 0.74:
                cut_x, cut_y = (side_px * rng.uniform(0.25, 0.75, 2)).tolist()
                for x0, x1 in ((0.0, cut_x), (cut_x, side_px)):
                    for y0, y1 in ((0.0, cut_y), (cut_y, side_px)):
                        tile = np.array([x0, y0, x1, y1], np.float32)
                        self._lay_scaled(canvas, tile, log_uniform(rng, 10.0, min(x1 - x0, y1 - y0)), rng)
            elif kind < 0.9:
                largest = log_uniform(rng, 14.0, 0.28 * side_px)
                for _ in range(rng.integers(3, 15)):
                    self.lay_head(canvas, log_uniform(rng, 9.0, largest), rng)
        if rng.random() < 0.15:
            _occlude(canvas, rng)
        return canvas.finish(degrade(canvas.image, rng))

    def compose_whole(self, side_px: int, rng: np.random.Generator) -> Sample:
        """Returns one photo as large as fits a square of side x side pixels, not degraded."""
        canvas = Canvas(np.zeros((side_px, side_px, 3), np.uint8))
        photo = self._urn.draw(rng)
        scale = side_px / max(photo.width, photo.height)
        matrix = np.array([[scale, 0, 0], [0, scale, 0]], np.float32)
        canvas.paste(photo, matrix, 0.0, False, np.array([0, 0, side_px, side_px], np.float32), head_only=False)
        return canvas.finish(canvas.image)

    def _lay_whole(self, canvas: Canvas, region: Floats, rng: np.random.Generator) -> None:
        """A photo as large as fits, the way that the runtime pads it: rest black, at the right and bottom."""
        photo = self._urn.draw(rng)
        angle, mirrored = draw_angle(rng) * (rng.random() < 0.5), bool(rng.random() < 0.5)
        scale = float(region[2]) / max(photo.width, photo.height) * rng.uniform(0.75, 1.02)
        middle = np.array([photo.width / 2, photo.height / 2], np.float32)
        target = (middle * scale).astype(np.float32)
        matrix = similarity(middle, target, scale, angle, mirrored)
        canvas.paste(photo, matrix, angle, mirrored, region, head_only=False)

    def _lay_scaled(self, canvas: Canvas, region: Floats, face_px: float, rng: np.random.Generator) -> None:
        """A photo scaled so that its largest face gets the width asked for, anywhere in the region."""
        photo = self._urn.draw(rng)
        face = photo.faces[0]
        scale = min(face_px / max(float(face[2]), 1.0), 4.0)
        angle, mirrored = draw_angle(rng), bool(rng.random() < 0.5)
        half = np.minimum(face[2:4] * scale / 2 * 0.9, (region[2:] - region[:2]) / 2)
        target = rng.uniform(region[:2] + half, region[2:] - half + 1e-3)
        matrix = similarity(face[:2] + face[2:4] / 2, target, scale, angle, mirrored)
        canvas.paste(photo, matrix, angle, mirrored, region, head_only=False)

    def lay_head(self, canvas: Canvas, face_px: float, rng: np.random.Generator) -> None:
        """A head cut out softly, where it touches no other face; given up after a few tries."""
        photo = self._urn.draw(rng)
        face = photo.faces[0]
        scale = min(face_px / max(float(face[2]), 1.0), 4.0)
        angle, mirrored = draw_angle(rng), bool(rng.random() < 0.5)
        sides = np.array(canvas.image.shape[1::-1], np.float32)
        for _ in range(4):
            target = rng.uniform(face_px / 2, np.maximum(sides - face_px / 2, face_px / 2 + 1e-3))
            matrix = similarity(face[:2] + face[2:4] / 2, target.astype(np.float32), scale, angle, mirrored)
            if canvas.free(_head_of(move_boxes(face[None, :4], matrix, angle)[0])):
                region = np.concatenate((np.zeros(2, np.float32), sides))
                canvas.paste(photo, matrix, angle, mirrored, region, head_only=bool(rng.random() < 0.75))
                return


def _occlude(canvas: Canvas, rng: np.random.Generator) -> None:
    """Hides up to a third of each face behind a bar: a hand, a microphone, the edge of something near."""
    sample = canvas.finish(canvas.image)
    for box in sample.boxes_xyxy:
        width, height = (box[2:] - box[:2]).tolist()
        share = rng.uniform(0.1, 0.35)
        x0, y0, x1, y1 = box.tolist()
        side = rng.integers(3)
        if side == 0:
            y0, x0, x1, y1 = y1 - share * height, x0 - 0.2 * width, x1 + 0.2 * width, y1 + 0.2 * height
        elif side == 1:
            x1, x0 = x0 + share * width, x0 - 0.3 * width
        else:
            x0, x1 = x1 - share * width, x1 + 0.3 * width
        limits = [canvas.image.shape[1], canvas.image.shape[0]] * 2
        x0, y0, x1, y1 = (int(np.clip(value, 0, limit)) for value, limit in zip((x0, y0, x1, y1), limits, strict=True))
        if x1 > x0 and y1 > y0:
            canvas.image[y0:y1, x0:x1] = draw_texture(x1 - x0, y1 - y0, rng)


def draw_angle(rng: np.random.Generator) -> float:
    """Returns radians: most heads are nearly upright; one in seven is turned by up to 30 degrees."""
    degrees = rng.uniform(-30.0, 30.0) if rng.random() < 0.15 else float(rng.normal(0.0, 7.0))
    return float(np.radians(np.clip(degrees, -30.0, 30.0)))


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Returns a number whose logarithm is equally likely everywhere between the bounds' logarithms."""
    return float(np.exp(rng.uniform(np.log(low), np.log(max(high, low * 1.01)))))
