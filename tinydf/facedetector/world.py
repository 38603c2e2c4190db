"""Scenes -> training pictures of the world: whole, around mistakes or faces, in tiles; graphics and people added."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tinydf.facedetector.backgrounds import draw_background
from tinydf.facedetector.degrade import degrade
from tinydf.facedetector.graphics import draw_graphics
from tinydf.facedetector.mosaic import Canvas, Composer, Floats, Sample, Urn, draw_angle, log_uniform, similarity
from tinydf.facedetector.photos import Photo
from tinydf.facedetector.scenes import SOURCE_WEIGHTS

SMALLEST_PX, LARGEST_SHARE = 12.0, 0.35
"""Of a scene's face that is sought out: pixels, and share of the picture's side."""
MOST_ENLARGED = 2.0


class WorldComposer:
    """Draws training pictures from scenes.

    Args:
        scenes: At least one.
        portraits: Gives people for scenes that have none.
    """

    def __init__(self, scenes: list[Photo], portraits: Composer) -> None:
        self._scenes = scenes
        self._portraits = portraits
        self._urn = Urn(scenes, SOURCE_WEIGHTS)
        mistaken = [scene for scene in scenes if len(scene.mistaken)]
        self._mistaken = Urn(mistaken, SOURCE_WEIGHTS) if mistaken else None
        peopled = [scene for scene in scenes if len(scene.faces)]
        self._peopled = Urn(peopled, SOURCE_WEIGHTS) if peopled else None

    def compose(self, side_px: int, rng: np.random.Generator) -> Sample:
        """Returns one picture of side x side pixels; equal generators give equal pictures."""
        kind = rng.random()
        whole = np.array([0, 0, side_px, side_px], np.float32)
        if kind < 0.08:
            canvas = Canvas(draw_background(self._scenes, side_px, rng))
            canvas.draw_over(lambda image: draw_graphics(image, rng))
        else:
            black = np.zeros((side_px, side_px, 3), np.uint8)
            canvas = Canvas(draw_background(self._scenes, side_px, rng) if rng.random() < 0.4 else black)
            if kind < 0.3:
                self._lay(canvas, self._urn.draw(rng), whole, rng)
            elif kind < 0.55 and self._peopled:
                self._lay_face(canvas, self._peopled.draw(rng), whole, rng)
            elif kind < 0.8:
                scene = (self._mistaken or self._urn).draw(rng)
                self._lay(canvas, scene, whole, rng, scene.mistaken)
            else:
                cut_x, cut_y = (side_px * rng.uniform(0.3, 0.7, 2)).tolist()
                for x0, x1 in ((0.0, cut_x), (cut_x, side_px)):
                    for y0, y1 in ((0.0, cut_y), (cut_y, side_px)):
                        self._lay_tile(canvas, np.array([x0, y0, x1, y1], np.float32), rng)
        if rng.random() < 0.3:
            for _ in range(rng.integers(1, 5)):
                self._portraits.lay_head(canvas, log_uniform(rng, 12.0, 0.4 * side_px), rng)
        if rng.random() < 0.4:
            canvas.draw_over(lambda image: draw_graphics(image, rng))
        return canvas.finish(degrade(canvas.image, rng))

    def _lay_tile(self, canvas: Canvas, tile: Floats, rng: np.random.Generator) -> None:
        """Lays a scene over a tile: around a face, around a mistake, or any."""
        if self._peopled and rng.random() < 0.3:
            self._lay_face(canvas, self._peopled.draw(rng), tile, rng)
        else:
            scene = (self._mistaken or self._urn).draw(rng) if rng.random() < 0.5 else self._urn.draw(rng)
            self._lay(canvas, scene, tile, rng, scene.mistaken)

    def _lay(
        self,
        canvas: Canvas,
        scene: Photo,
        region: Floats,
        rng: np.random.Generator,
        around: NDArray[np.float32] | None = None,
    ) -> None:
        """Lays a scene over a region: at about the size that fits, or larger.

        Args:
            canvas: Picture in the making.
            scene: What is laid.
            region: Left, top, right, bottom.
            rng: Source of all choices.
            around: Boxes (x, y, width, height) of which one shall be seen; None or none: the scene's corner or middle.
        """
        sides = region[2:] - region[:2]
        fitting = float(sides.max()) / max(scene.width, scene.height)
        angle = draw_angle(rng) * (rng.random() < 0.3)
        mirrored = bool(rng.random() < 0.5)
        if around is None or not len(around):
            scale = fitting * log_uniform(rng, 0.75, 1.9)
            source = np.array([scene.width, scene.height]) * rng.uniform(0.25, 0.75, 2)
            target = region[:2] + sides * rng.uniform(0.3, 0.7, 2)
            if scale < 1.05 * fitting:
                # The way that the runtime pads it: rest black, at the right and bottom.
                source, angle = np.array([scene.width, scene.height]) / 2, 0.0
                target = region[:2] + source * scale
        else:
            box = around[rng.integers(len(around))]
            scale = fitting * log_uniform(rng, 0.6, 2.2)
            scale = float(np.clip(scale, 8.0 / box[2], 1.2 * sides.max() / box[2:].max()))
            source = box[:2] + box[2:] / 2
            target = region[:2] + sides * rng.uniform(0.2, 0.8, 2)
        matrix = similarity(source.astype(np.float32), target.astype(np.float32), scale, angle, mirrored)
        canvas.paste(scene, matrix, angle, mirrored, region, head_only=False)

    def _lay_face(self, canvas: Canvas, scene: Photo, region: Floats, rng: np.random.Generator) -> None:
        """Lays a scene over a region so that one of its faces gets any size: in the world most are small.

        Args:
            canvas: Picture in the making.
            scene: What is laid; it has a face.
            region: Left, top, right, bottom.
            rng: Source of all choices.
        """
        sides = region[2:] - region[:2]
        box = scene.faces[rng.integers(len(scene.faces)), :4]
        face_px = log_uniform(rng, SMALLEST_PX, LARGEST_SHARE * float(sides.max()))
        scale = min(face_px / float(box[2:].max()), MOST_ENLARGED)
        angle, mirrored = draw_angle(rng) * (rng.random() < 0.5), bool(rng.random() < 0.5)
        target = region[:2] + sides * rng.uniform(0.15, 0.85, 2)
        middle = (box[:2] + box[2:] / 2).astype(np.float32)
        matrix = similarity(middle, target.astype(np.float32), scale, angle, mirrored)
        canvas.paste(scene, matrix, angle, mirrored, region, head_only=False)
