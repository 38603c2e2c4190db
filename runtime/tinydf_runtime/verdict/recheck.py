"""Crops of the deciding track, re-encoded -> whether its verdict stands.

A video is re-encoded each time it is shared. A score that mild re-encoding flips rests on detail that the next upload
destroys, and is weak evidence about the face.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from tinydf_runtime.engines.engine import Engine, score_in_halves
from tinydf_runtime.faces.exemplars import Exemplar, Exemplars
from tinydf_runtime.results import Segment, Verdict
from tinydf_runtime.types import Image, Reason
from tinydf_runtime.verdict.aggregate import severity
from tinydf_runtime.verdict.evidence import to_logit, to_logits

JPEG_QUALITY = 70
"""JPEG quality typical of messengers and platforms."""
SHRINK = 0.75
"""Downscaling typical of them."""
CROPS = 4
"""Crops scored again at most: one small batch."""
RECHECKED_TRACKS = 2
"""Tracks that are rechecked at most, a batch each."""
REACH = 2.0
"""Distance from the threshold, in logits, beyond which no re-encoding was seen to flip a verdict."""
_ORDER = ("spread", "best", "suspicious")


def recheck(
    judged: Sequence[tuple[Verdict, tuple[Segment, ...]]], exemplars: Exemplars, threshold: float, engine: Engine
) -> list[tuple[Verdict, tuple[Segment, ...]]]:
    """Returns the track verdicts, the worst one made inconclusive if it does not survive re-encoding.

    If the worst does not, the next one decides and is checked too, up to a small number of tracks.

    Args:
        judged: Verdict and segments of each track.
        exemplars: The crops that are kept of them.
        threshold: Probability from which a face counts as fake.
        engine: The classifier.
    """
    found = {verdict.track: (verdict, segments) for verdict, segments in judged}
    checked: set[int] = set()
    while found and len(checked) < RECHECKED_TRACKS:
        worst, segments = max(found.values(), key=lambda one: severity(one[0]))
        if worst.track in checked or worst.label == "inconclusive" or worst.fake_probability is None:
            break
        checked.add(worst.track)
        pictures = pictures_behind(exemplars.pictures(worst.track), segments)
        if not is_unstable(worst.fake_probability, threshold, pictures, engine):
            break
        reasons: tuple[Reason, ...] = (*worst.reasons, "unstable_under_compression")
        found[worst.track] = replace(worst, label="inconclusive", reasons=reasons), segments
    return list(found.values())


def reencode_crop(crop: Image) -> Image:
    """Returns a crop after downscaling, JPEG compression and upscaling.

    Args:
        crop: side x side x 3, RGB, uint8.
    """
    side = crop.shape[0]
    shrunk = max(1, round(side * SHRINK))
    small = cv2.resize(crop, (shrunk, shrunk), interpolation=cv2.INTER_AREA)
    blue_first = np.ascontiguousarray(small[..., ::-1])
    _, data = cv2.imencode(".jpg", blue_first, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return np.ascontiguousarray(cv2.resize(decoded, (side, side), interpolation=cv2.INTER_LINEAR)[..., ::-1], np.uint8)


def is_unstable(probability: float, threshold: float, pictures: Sequence[Exemplar], engine: Engine) -> bool:
    """Returns whether the mean change of the logit under re-encoding would flip a verdict.

    Args:
        probability: Of the track.
        threshold: From which it counts as fake.
        pictures: Of the time that the probability rests on.
        engine: The classifier.
    """
    distance = to_logit(probability) - to_logit(threshold)
    if not pictures or abs(distance) > REACH:
        return False
    # Pictures kept for a high score regress to the mean under any change, so they come last.
    chosen = sorted(pictures, key=lambda picture: _ORDER.index(picture.why))[:CROPS]
    before = to_logits(np.array([picture.record.fake_probability for picture in chosen], np.float64))
    crops = np.stack([reencode_crop(picture.crop) for picture in chosen])
    again = score_in_halves(engine.score, crops).fake_probability
    moved = distance + float((to_logits(again.astype(np.float64)) - before).mean())
    return (moved >= 0) != (distance >= 0)


def pictures_behind(pictures: Sequence[Exemplar], segments: Sequence[Segment]) -> tuple[Exemplar, ...]:
    """Returns those of a track's pictures that lie in its segments, or all where it has none."""
    inside = (p for p in pictures if any(s.start_s <= p.record.time_s <= s.end_s for s in segments))
    return tuple(inside) if segments else tuple(pictures)
