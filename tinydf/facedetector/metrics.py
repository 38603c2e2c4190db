"""Found and wanted boxes -> recall, false boxes, overlap and landmark error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinydf_runtime.faces.matching import overlap_iou

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ImageMatch:
    """How one picture's found faces fit its wanted ones.

    Attributes:
        scores: K: detection scores of the found boxes that count, best first.
        correct: K, bool: whether each is the first to cover a wanted face.
        wanted: Number of wanted faces.
        ious: One for each correct box.
        landmark_errors: One for each correct box: mean distance of the points, as a share of the wanted box's width.
    """

    scores: Floats
    correct: NDArray[np.bool_]
    wanted: int
    ious: Floats
    landmark_errors: Floats


def match(
    boxes_xyxy: Floats,
    scores: Floats,
    landmarks: Floats,
    wanted_xyxy: Floats,
    wanted_landmarks: Floats,
    ignored_xyxy: Floats,
    least_iou: float = 0.5,
) -> ImageMatch:
    """Matches the boxes found in one picture with the faces in it, the best score first.

    Args:
        boxes_xyxy: K x 4, found.
        scores: K.
        landmarks: K x 5 x 2.
        wanted_xyxy: W x 4: faces that have to be found.
        wanted_landmarks: W x 5 x 2.
        ignored_xyxy: I x 4: boxes on these places, covering them or covered by them for half, are not counted.
        least_iou: Overlap from which a wanted face is found.
    """
    order = np.argsort(-scores, kind="stable")
    boxes_xyxy, scores, landmarks = boxes_xyxy[order], scores[order], landmarks[order]
    overlap = overlap_iou(boxes_xyxy, wanted_xyxy)
    free = np.ones(len(wanted_xyxy), bool)
    counted, correct, ious, errors = [], [], [], []
    for row, box in enumerate(boxes_xyxy):
        candidates = np.where(free, overlap[row], 0.0)
        best = int(candidates.argmax()) if len(candidates) else 0
        if len(candidates) and candidates[best] >= least_iou:
            free[best] = False
            ious.append(candidates[best])
            width = wanted_xyxy[best, 2] - wanted_xyxy[best, 0]
            errors.append(np.linalg.norm(landmarks[row] - wanted_landmarks[best], axis=1).mean() / width)
            correct.append(True)
        elif _mostly_on(box, ignored_xyxy):
            continue
        else:
            correct.append(False)
        counted.append(scores[row])
    return ImageMatch(
        np.array(counted, np.float64), np.array(correct, bool), len(wanted_xyxy), np.array(ious), np.array(errors)
    )


def _mostly_on(box: Floats, places: Floats) -> bool:
    low, high = np.maximum(box[:2], places[:, :2]), np.minimum(box[2:], places[:, 2:])
    shared = (high - low).clip(0).prod(1)
    smaller = np.minimum((box[2:] - box[:2]).prod(), (places[:, 2:] - places[:, :2]).prod(1))
    return bool((shared >= 0.5 * np.maximum(smaller, 1e-9)).any())


def average_precision(matches: list[ImageMatch]) -> float:
    """Returns the area under precision over recall, 0..1, over all pictures together; NaN where no face is wanted."""
    wanted = sum(match.wanted for match in matches)
    if not wanted:
        return float("nan")
    scores = np.concatenate([match.scores for match in matches])
    correct = np.concatenate([match.correct for match in matches])[np.argsort(-scores, kind="stable")]
    hits = correct.cumsum()
    precision = hits / np.arange(1, len(hits) + 1)
    # The best precision at this recall or a higher one.
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(envelope[correct].sum() / wanted)


def recall(matches: list[ImageMatch], threshold: float) -> float:
    """Returns the share of wanted faces found with a score of at least ``threshold``; NaN where no face is wanted."""
    wanted = sum(match.wanted for match in matches)
    found = sum(int((match.correct & (match.scores >= threshold)).sum()) for match in matches)
    return found / wanted if wanted else float("nan")


def false_boxes(matches: Sequence[ImageMatch], threshold: float) -> float:
    """Returns the number of wrong boxes with a score of at least ``threshold``, an image."""
    wrong = sum(int((~match.correct & (match.scores >= threshold)).sum()) for match in matches)
    return wrong / len(matches)


def score_with_false_boxes(matches: list[ImageMatch], most: float) -> float:
    """Returns the lowest score at which there are at most ``most`` wrong boxes an image."""
    wrong = np.sort(np.concatenate([match.scores[~match.correct] for match in matches]))[::-1]
    allowed = int(most * len(matches))
    return float(np.nextafter(wrong[allowed], np.inf)) if len(wrong) > allowed else 0.0
