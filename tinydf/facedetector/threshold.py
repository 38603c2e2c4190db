"""Trained weights and validation photos -> the score from which a box counts, written into the weights' file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tinydf.facedetector.backgrounds import draw_background
from tinydf.facedetector.metrics import ImageMatch, false_boxes, recall
from tinydf.facedetector.mosaic import Sample
from tinydf.facedetector.photos import Photo, Pictures
from tinydf.facedetector.validate import match_pictures, validation_frames, validation_pictures
from tinydf.facedetector.weights import copy_state, load_detector, save_detector

MOST_ON_NOTHING = 0.02
# Below the .05 wanted on real video, where an older detector saw more false faces than on these frames.
MOST_ON_FRAMES = 0.04
SIDES_PX = (320, 640)
QUANTILES_FROM = 0.3
QUANTILES = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)


def choose_threshold(
    with_faces: list[ImageMatch], without_faces: list[ImageMatch], frames: Sequence[ImageMatch] = ()
) -> float:
    """Returns the score from which a box should count, in steps of .01 from .3 to .8.

    Args:
        with_faces: Pictures with faces.
        without_faces: Pictures without: ``MOST_ON_NOTHING`` wrong boxes an image are put up with.
        frames: Of video, with faces or without: ``MOST_ON_FRAMES`` wrong boxes an image are put up with.

    Returns:
        The score with the best F1 on pictures with faces among those that keep the limits; .8 where none does.
    """
    best, best_merit = 0.8, -1.0
    wanted = sum(one.wanted for one in with_faces)
    for threshold in np.arange(30, 81) / 100:
        if false_boxes(without_faces, threshold) > MOST_ON_NOTHING:
            continue
        if frames and false_boxes(frames, threshold) > MOST_ON_FRAMES:
            continue
        hits = recall(with_faces, threshold) * wanted
        wrong = false_boxes(with_faces, threshold) * len(with_faces)
        merit = 2 * hits / (hits + wrong + wanted)
        if merit > best_merit:
            best, best_merit = float(threshold), merit
    return best


def set_threshold(weights: Path, validation: Pictures, pictures: int, seed: int) -> float:
    """Chooses the score on pictures of the validation split, writes it and the scores' scale into the file, returns it.

    Args:
        weights: As ``train`` wrote it.
        validation: Photos and scenes of the validation split.
        pictures: How many at 320 px, with faces and without each; a quarter of that at 640 px.
        seed: Of the pictures.

    Raises:
        ModelFileError: The file is damaged.
        OutputError: It could not be written.
    """
    checkpoint, photos = load_detector(weights), validation.photos
    with_faces: list[ImageMatch] = []
    without_faces: list[ImageMatch] = []
    for side_px in SIDES_PX:
        count = max(1, pictures * SIDES_PX[0] ** 2 // side_px**2)
        with_faces += match_pictures(checkpoint.network, validation_pictures(photos, count, side_px, seed + 1))
        without_faces += match_pictures(checkpoint.network, _without_faces(photos, count, side_px, seed))
    frames = match_pictures(checkpoint.network, validation_frames(validation.scenes, photos, 2 * pictures, seed))
    threshold = choose_threshold(with_faces + frames, without_faces, frames)
    facts = checkpoint.facts | {"score_threshold": threshold, "scores": score_quantiles(frames or with_faces)}
    save_detector(copy_state(checkpoint.network), facts, weights)
    return threshold


def score_quantiles(matches: Sequence[ImageMatch]) -> dict[str, dict[str, float]]:
    """Returns quantiles of the scores of true and of false boxes.

    Args:
        matches: Of all boxes from ``QUANTILES_FROM`` on.

    Returns:
        ``faces`` and ``mistakes``: by share (``0.05``) a score; nothing where there are no such boxes.
    """
    scores = np.concatenate([one.scores for one in matches])
    correct = np.concatenate([one.correct for one in matches])
    parts = {"faces": scores[correct], "mistakes": scores[~correct]}
    return {
        name: {f"{share}": round(float(np.quantile(some[some >= QUANTILES_FROM], share)), 3) for share in QUANTILES}
        for name, some in parts.items()
        if (some >= QUANTILES_FROM).any()
    }


def _without_faces(photos: list[Photo], count: int, side_px: int, seed: int) -> list[Sample]:
    none = (np.zeros((0, 4), np.float32), np.zeros((0, 5, 2), np.float32), np.zeros((0, 4), np.float32))
    drawn = (draw_background(photos, side_px, np.random.default_rng((seed, 8, index))) for index in range(count))
    return [Sample(image, *none) for image in drawn]
