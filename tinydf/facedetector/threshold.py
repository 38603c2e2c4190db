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
SCORES = tuple(round(0.3 + 0.01 * step, 2) for step in range(51))
SIDES_PX = (320, 640)
QUANTILES_FROM = 0.3
QUANTILES = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)


def choose_threshold(
    with_faces: list[ImageMatch], without_faces: list[ImageMatch], frames: Sequence[ImageMatch] = ()
) -> float:
    """Returns the score from which a box should count, in steps of .01 from .3 to .8.

    Args:
        with_faces: Pictures with faces; they choose where there are no frames.
        without_faces: Pictures without: ``MOST_ON_NOTHING`` wrong boxes an image are put up with.
        frames: Of video, with faces or without: ``MOST_ON_FRAMES`` wrong boxes an image are put up with.

    Returns:
        The lowest score that keeps the limits, so that most faces are found: a false box decides no verdict unless it
        is a certain face, a missed face cannot. Without frames, which are like what it will see, the score among
        those with the best F1 on pictures with faces. .8 where none keeps the limits.
    """
    allowed = [
        score
        for score in SCORES
        if false_boxes(without_faces, score) <= MOST_ON_NOTHING
        and (not frames or false_boxes(frames, score) <= MOST_ON_FRAMES)
    ]
    if not allowed:
        return SCORES[-1]
    return allowed[0] if frames else max(allowed, key=lambda score: _f1(with_faces, score))


def set_threshold(weights: Path, validation: Pictures, pictures: int, seed: int) -> float:
    """Chooses the score on pictures of the validation split, writes it and the scores' scale into the file, returns it.

    Args:
        weights: As ``train`` wrote it.
        validation: Photos and scenes of the validation split.
        pictures: How many without faces at 320 px, and a quarter of that at 640 px; of frames of video twice as many,
            and without scenes, of which those are made, as many with faces.
        seed: Of the pictures.

    Raises:
        ModelFileError: The file is damaged.
        OutputError: It could not be written.
    """
    checkpoint, photos = load_detector(weights), validation.photos
    network = checkpoint.network
    frames = match_pictures(network, validation_frames(validation.scenes, photos, 2 * pictures, seed))
    with_faces: list[ImageMatch] = []
    without_faces: list[ImageMatch] = []
    for side_px in SIDES_PX:
        count = max(1, pictures * SIDES_PX[0] ** 2 // side_px**2)
        without_faces += match_pictures(network, _without_faces(photos, count, side_px, seed))
        if not frames:
            with_faces += match_pictures(network, validation_pictures(photos, count, side_px, seed + 1))
    threshold = choose_threshold(with_faces, without_faces, frames)
    facts = checkpoint.facts | {"score_threshold": threshold, "scores": score_quantiles(frames or with_faces)}
    save_detector(copy_state(network), facts, weights)
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


def _f1(pictures: list[ImageMatch], score: float) -> float:
    wanted = sum(one.wanted for one in pictures)
    hits = recall(pictures, score) * wanted
    return 2 * hits / (hits + false_boxes(pictures, score) * len(pictures) + wanted)


def _without_faces(photos: list[Photo], count: int, side_px: int, seed: int) -> list[Sample]:
    none = (np.zeros((0, 4), np.float32), np.zeros((0, 5, 2), np.float32), np.zeros((0, 4), np.float32))
    drawn = (draw_background(photos, side_px, np.random.default_rng((seed, 8, index))) for index in range(count))
    return [Sample(image, *none) for image in drawn]
