"""Faces of a frame -> crops; crops -> scores."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import cv2
import numpy as np
from numpy.typing import NDArray

from tinydf_runtime.engines.engine import Engine, score_in_halves
from tinydf_runtime.errors import OutsideImageError
from tinydf_runtime.faces.crop import crop_face
from tinydf_runtime.faces.quality import measure_quality
from tinydf_runtime.trust.outputs import checked_scores
from tinydf_runtime.types import Face, FaceScore, Frame, Image, Scores


def crop_tracked(
    frame: Frame, tracked: Sequence[tuple[int, Face]], engine: Engine
) -> list[tuple[int, FaceScore, Image]]:
    """Returns track, record with its probability still to come, and RGB crop of each face."""
    cropped = []
    for track, face in tracked:
        # A track that leaves the picture can end with a box beyond its border.
        with suppress(OutsideImageError):
            blue_first = crop_face(frame.image, face.box_xyxy, engine.spec.crop)
            crop = np.asarray(cv2.cvtColor(blue_first, cv2.COLOR_BGR2RGB), np.uint8)
            left, top, right, bottom = (round(float(value), 2) for value in face.box_xyxy)
            record = FaceScore(
                round(float(frame.time_s), 6),
                int(frame.index),
                (left, top, right, bottom),
                round(min(max(float(face.score), 0.0), 1.0), 6),
                fake_probability=0.0,
                quality=measure_quality(crop, face),
            )
            cropped.append((track, record, crop))
    return cropped


def score_boxes(engine: Engine, image: Image, boxes: Sequence[Sequence[float]] | NDArray[np.float64]) -> Scores:
    """Cuts boxes out of a BGR picture and scores them.

    Args:
        engine: The classifier.
        image: H x W x 3, BGR, uint8.
        boxes: N x 4, xyxy in pixels.

    Raises:
        OutsideImageError: A box does not touch the picture.
    """
    recipe = engine.spec.crop
    crops = np.empty((len(boxes), recipe.side_px, recipe.side_px, 3), np.uint8)
    for i, (left, top, right, bottom) in enumerate(boxes):
        box = (float(left), float(top), float(right), float(bottom))
        crops[i] = crop_face(image, box, recipe)[..., ::-1]
    return score_crops(engine, crops)


def score_crops(engine: Engine, crops: NDArray[np.uint8]) -> Scores:
    """Scores a batch of RGB crops and refuses what is no probability: it would spread through every mean unseen.

    Raises:
        ModelFileError: A score is no finite number from 0 to 1.
        OutOfMemoryError: There is not enough memory for one crop.
    """
    scores = score_in_halves(engine.score, crops)
    return checked_scores((scores.fake_probability, scores.forgery_map), len(crops), None, engine.spec.name)
