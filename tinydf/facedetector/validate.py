"""A network and pictures with known faces -> how well it finds them; used while training to keep the best weights."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from tinydf.facedetector.metrics import (
    ImageMatch,
    average_precision,
    false_boxes,
    match,
    recall,
    score_with_false_boxes,
)
from tinydf.facedetector.model import FaceDetectorNet, Predictions
from tinydf.facedetector.mosaic import Composer, Sample
from tinydf.facedetector.photos import Photo
from tinydf.facedetector.video_frames import halved, video_frames
from tinydf_runtime.faces.matching import keep_best

Floats = NDArray[np.float64]

NMS_IOU = 0.45
# Below this score nothing is looked at.
LOWEST_SCORE = 0.05
# Of an untrained network every cell may pass; no picture has so many faces.
MOST_BOXES = 300
# A first guess, until the threshold is chosen on the validation photos.
USUAL_SCORE = 0.5
# Wrong boxes a video frame that are put up with.
MOST_FALSE_BOXES = 0.05


@dataclass(frozen=True, slots=True)
class Validation:
    """Figures over all validation pictures.

    Attributes:
        average_precision: 0..1, at IoU .5.
        recall: Share of the faces found at a score of .5.
        false_boxes: Wrong boxes an image at a score of .5.
        median_iou: Of the boxes found.
        median_landmark_error: Share of the box's width.
        video_recall: On frames of video, at the score that leaves ``MOST_FALSE_BOXES``; None without scenes.
    """

    average_precision: float
    recall: float
    false_boxes: float
    median_iou: float
    median_landmark_error: float
    video_recall: float | None = None

    @property
    def merit(self) -> float:
        """Selection criterion of the kept weights: finding faces first, then placing boxes well."""
        found = self.average_precision if self.video_recall is None else self.average_precision + self.video_recall
        return found + 0.25 * self.median_iou - 0.5 * self.median_landmark_error


def validation_pictures(photos: list[Photo], count: int, side_px: int, seed: int) -> list[Sample]:
    """Returns fixed pictures: half composed like those of training, half composed of one whole photo each."""
    composer = Composer(photos)
    pictures = []
    for index in range(count):
        rng = np.random.default_rng((seed, 7, index))
        pictures.append(composer.compose(side_px, rng) if index % 2 else composer.compose_whole(side_px, rng))
    return pictures


def boxes_from(predictions: Predictions, least_score: float) -> tuple[Floats, Floats, Floats]:
    """Returns boxes (K x 4), scores (K) and points (K x 5 x 2) of the first picture after suppression, best first."""
    scores = predictions.scores[0].double().cpu().numpy()
    best_first = np.argsort(-scores, kind="stable")[:MOST_BOXES]
    usable = best_first[scores[best_first] >= least_score]
    boxes = predictions.boxes_xyxy[0].double().cpu().numpy()[usable]
    points = predictions.landmarks[0].double().cpu().numpy()[usable]
    kept = keep_best(boxes, scores[usable], NMS_IOU)
    return boxes[kept], scores[usable][kept], points[kept]


@torch.no_grad()
def match_pictures(
    network: FaceDetectorNet, pictures: Iterable[Sample], least_score: float = LOWEST_SCORE
) -> list[ImageMatch]:
    """Returns how the network's boxes from a score on fit each picture; the network is left in evaluation mode."""
    network.eval()
    device = next(network.parameters()).device
    matches = []
    for picture in pictures:
        image = torch.from_numpy(picture.image).to(device).permute(2, 0, 1)[None].float()
        matches.append(
            match(
                *boxes_from(network(image), least_score),
                picture.boxes_xyxy.astype(np.float64),
                picture.landmarks.astype(np.float64),
                picture.doubtful_xyxy.astype(np.float64),
            )
        )
    return matches


def validation_frames(scenes: list[Photo], photos: list[Photo], count: int, seed: int) -> list[Sample]:
    """Returns fixed frames of video as a detector at 320 px sees them; none without scenes."""
    if not scenes:
        return []
    people = [photo for photo in photos if len(photo.faces)]
    return [halved(frame) for frame in video_frames(scenes, people, count, seed)]


def validate(network: FaceDetectorNet, pictures: Iterable[Sample], frames: Iterable[Sample] = ()) -> Validation:
    """Returns the figures of a network over pictures and frames of video."""
    matches = match_pictures(network, pictures)
    ious = np.concatenate([one.ious for one in matches])
    errors = np.concatenate([one.landmark_errors for one in matches])
    on_video = match_pictures(network, frames)
    return Validation(
        average_precision(matches),
        recall(matches, USUAL_SCORE),
        false_boxes(matches, USUAL_SCORE),
        float(np.median(ious)) if len(ious) else 0.0,
        float(np.median(errors)) if len(errors) else 1.0,
        recall(on_video, score_with_false_boxes(on_video, MOST_FALSE_BOXES)) if on_video else None,
    )
