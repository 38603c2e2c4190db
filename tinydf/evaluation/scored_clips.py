"""The file of ``tinydf-score-clips`` -> clips with their scores, as the runtime had them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinydf_runtime.errors import UnreadableInputError, one_line
from tinydf_runtime.faces.detector import FaceDetector
from tinydf_runtime.models.shipped import DEFAULT_DETECTOR
from tinydf_runtime.types import FaceQuality, FaceScore
from tinydf_runtime.verdict.aggregate import judge_input, judge_tracks
from tinydf_runtime.verdict.evidence import to_logit
from tinydf_runtime.verdict.rules import MINIMUM_FACES, DecisionRule

Tracks = Mapping[int, Sequence[FaceScore]]


@dataclass(frozen=True, slots=True)
class Clip:
    """A scored clip or picture.

    Attributes:
        split: Of its person.
        kind: ``real``, ``forged``, ``long`` (real, and four times as long) or ``picture`` (real).
        person: Whose photo it was made of.
        tracks: Track -> its scores.
        shift: How far encoding its crops again moves the mean logit.
    """

    split: str
    kind: str
    person: str
    tracks: Tracks
    shift: float

    def main(self) -> Sequence[FaceScore]:
        """Returns the scores of the track that fills most of it, nothing where nobody was found."""
        return max(self.tracks.values(), key=lambda scores: sum(map(_area, scores)), default=())

    def people(self) -> int:
        """Returns how many tracks were seen often enough to be judged: a photo may show more than its main face."""
        return sum(len(scores) >= MINIMUM_FACES for scores in self.tracks.values())

    def logit(self, rule: DecisionRule) -> float | None:
        """Returns the logit of its probability, None where it gets none."""
        probability = judge_input([verdict for verdict, _ in judge_tracks(self.tracks, rule)])[1]
        return None if probability is None else to_logit(probability)


def certain_score() -> float:
    """Returns the median detection score from which the shipped detector believes a track."""
    return FaceDetector(DEFAULT_DETECTOR, threads=1).certain_score


def read_clips(path: Path) -> list[Clip]:
    """Returns all clips and pictures of a file.

    Raises:
        UnreadableInputError: It is no file of scores.
    """
    try:
        # Opened here: NumPy leaves a damaged file open.
        with path.open("rb") as file, np.load(file) as stored:
            rows, names, shift = stored["rows"].astype(np.float64), stored["clips"], stored["shift"]
        return _clips(rows, names, shift)
    # A damaged archive raises almost anything.
    except Exception as error:
        reason = one_line(error, 200)
        raise UnreadableInputError(
            f"{path}: is no file of scores ({reason}). Expected what tinydf-score-clips wrote."
        ) from error


def _clips(rows: NDArray[np.float64], names: NDArray[np.str_], shift: NDArray[np.float32]) -> list[Clip]:
    """Returns the clips in stored rows, one face each."""
    found: list[dict[int, list[FaceScore]]] = [defaultdict(list) for _ in names]
    for clip, track, time_s, left, top, right, bottom, detection, probability, *quality in rows.tolist():
        # float32 keeps seven digits; the runtime's times have six behind the point.
        record = FaceScore(
            round(time_s, 4), round(time_s * 10), (left, top, right, bottom), detection, probability, None,
            FaceQuality(*quality),
        )  # fmt: skip
        found[int(clip)][int(track)].append(record)
    return [
        Clip(str(split), str(kind), str(person), dict(tracks), float(moved))
        for (split, kind, person), tracks, moved in zip(names, found, shift, strict=True)
    ]


def _area(score: FaceScore) -> float:
    left, top, right, bottom = score.box_xyxy
    return (right - left) * (bottom - top)
