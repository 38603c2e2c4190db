"""Photos of real people -> synthetic clips of them, real and fake, with every score that the runtime gives.

Each person gives one photo. It is shown as a clip (``synthetic_clips.py``) and judged by the runtime's own detector,
tracks and crops; the photo itself is judged as a picture. ``scored_clips.py`` reads the file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinydf.data.forgery_types.table import Mixture
from tinydf.data.manifest import Split
from tinydf.data.photos import Photo
from tinydf.evaluation.synthetic_clips import make_clip
from tinydf_runtime.engines.engine import Engine
from tinydf_runtime.faces.detector import FaceDetector
from tinydf_runtime.io.file_frames import FileFrames
from tinydf_runtime.io.files import write_atomically
from tinydf_runtime.io.own_frames import OwnFrames
from tinydf_runtime.steps import FrameStep
from tinydf_runtime.types import FaceQuality, FaceScore
from tinydf_runtime.verdict.evidence import to_logit, to_logits
from tinydf_runtime.verdict.recheck import reencode_crop
from tinydf_runtime.watch import Limits, Watch, watch_image, watch_video

SAMPLE_FPS = 5.0
SECONDS = {"real": 4.0, "forged": 4.0, "long": 16.0}
"""Length of a clip by its kind."""
COLUMNS = ("clip", "track", "time_s", "left", "top", "right", "bottom", "detection_score", "fake_probability")
QUALITY = tuple(FaceQuality.__slots__)


@dataclass(frozen=True, slots=True)
class Counts:
    """People of a split.

    Attributes:
        real: Shown as they are, for 4 s.
        forged: How many of them are also shown forged.
        longer: How many of them are also shown for 16 s.
    """

    real: int = 400
    forged: int = 120
    longer: int = 25


class ClipScores:
    """Scores so far: a row a face, and what each clip is."""

    def __init__(self, checkpoint_sha256: str, detector_sha256: str) -> None:
        """Begins without a clip.

        Args:
            checkpoint_sha256: Of the classifier's checkpoint.
            detector_sha256: Of the detector's file.
        """
        self.rows: list[list[float]] = []
        self.clips: list[tuple[str, str, str]] = []
        self.shift: list[float] = []
        self._checkpoint_sha256, self._detector_sha256 = checkpoint_sha256, detector_sha256

    def add(self, split: str, kind: str, person: str, watch: Watch) -> None:
        """Adds the scores of one clip or picture."""
        number = len(self.clips)
        for track, scores in watch.scores.items():
            self.rows += [[number, track, *_values(score)] for score in scores]
        self.clips.append((split, kind, person))
        self.shift.append(_shift(watch) if kind != "picture" else 0.0)

    def write(self, path: Path) -> None:
        """Writes all of it as .npz, whole or not at all.

        Raises:
            OutputError: The file cannot be written.
        """
        write_atomically(
            path,
            lambda file: np.savez_compressed(
                file,
                rows=np.array(self.rows, np.float32),
                clips=np.array(self.clips),
                shift=np.array(self.shift, np.float32),
                columns=np.array((*COLUMNS, *QUALITY)),
                checkpoint_sha256=np.array(self._checkpoint_sha256),
                detector_sha256=np.array(self._detector_sha256),
            ),
        )


def score_people(
    scores: ClipScores,
    split: Split,
    people: Sequence[Photo],
    counts: Counts,
    engine: Engine,
    detector: FaceDetector,
    advance: Callable[[int], None] = lambda done: None,
) -> None:
    """Makes the clips of some people, scores them and adds the scores.

    Args:
        scores: Where to add them.
        split: Of the people.
        people: One photo of each; forgeries take faces from among them.
        counts: How many of them are also shown forged, or longer.
        engine: The classifier.
        detector: The face detector.
        advance: Called with the number of people done.

    Raises:
        UnreadableInputError: A photo cannot be read.
    """
    forge = Mixture(people)
    for place, photo in enumerate(people):
        person = photo.identities[0]
        for kind in _kinds(place, counts):
            clip = make_clip(photo, place, forge if kind == "forged" else None, SECONDS[kind])
            watch = Watch(FrameStep(engine, detector))
            watch_video(OwnFrames(clip, None, SAMPLE_FPS), watch, None, Limits())
            scores.add(split, kind, person, watch)
        watch = Watch(FrameStep(engine, detector, tracks=False))
        with FileFrames(str(photo.path), None, "image") as pictures:
            watch_image(pictures, watch, Limits())
        scores.add(split, "picture", person, watch)
        advance(place + 1)


def one_photo_each(photos: Sequence[Photo], count: int) -> list[Photo]:
    """Returns the first colour photo of each of at most ``count`` people, drawn with a fixed seed."""
    by_person = {photo.identities[0]: photo for photo in reversed(photos) if not photo.grey}
    people = sorted(by_person)
    order = np.random.default_rng(0).permutation(len(people))[:count]
    return [by_person[people[place]] for place in order]


def _kinds(place: int, counts: Counts) -> list[str]:
    """Returns the kinds of clip of the person at a place."""
    return ["real", *(["forged"] if place < counts.forged else []), *(["long"] if place < counts.longer else [])]


def _values(score: FaceScore) -> list[float]:
    """Returns a face's row, without its first two columns."""
    quality = FaceQuality() if score.quality is None else score.quality
    return [score.time_s, *score.box_xyxy, score.detection_score, score.fake_probability, *astuple(quality)]


def _shift(watch: Watch) -> float:
    """Returns by how much the mean logit of the longest track moves when its crops are encoded again."""
    track = max(watch.scores, key=lambda one: len(watch.scores[one]), default=None)
    pictures = [] if track is None else watch.exemplars.pictures(track)[:4]
    if not pictures:
        return 0.0
    before = [to_logit(picture.record.fake_probability) for picture in pictures]
    return float((_logits(watch.step.engine, [reencode_crop(picture.crop) for picture in pictures]) - before).mean())


def _logits(engine: Engine, crops: list[NDArray[np.uint8]]) -> NDArray[np.float64]:
    return to_logits(engine.score(np.stack(crops)).fake_probability.astype(np.float64))
