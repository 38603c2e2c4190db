"""Photos of real people -> synthetic clips of them, real and fake, with every score that the runtime gives.

Each person gives one photo. It is shown as a clip (``synthetic_clips.py``) and judged by the runtime's own detector,
tracks and crops; the photo itself is judged as a picture. ``scored_clips.py`` reads the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinydf.data.forgery_types.table import Mixture
from tinydf.data.manifest import Split
from tinydf.data.photos import Photo, read_photos
from tinydf.data.processes import run_each
from tinydf.evaluation.synthetic_clips import make_clip
from tinydf_runtime.engines.engine import Engine
from tinydf_runtime.engines.loading import open_engine
from tinydf_runtime.errors import UnreadableInputError, UsageError
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
        real: How many, at most; each is shown for 4 s.
        forged: How many of them are also shown forged.
        longer: How many of them are also shown for 16 s.
    """

    real: int = 400
    forged: int = 120
    longer: int = 25


@dataclass(frozen=True, slots=True)
class Source:
    """Whose clips are scored, and with what.

    Attributes:
        faces: Folder of photos.
        split: Of the people.
        counts: How many of them there are, and which clips each gives.
        model: The classifier's file.
        detector: The face detector's file.
    """

    faces: Path
    split: Split
    counts: Counts
    model: Path
    detector: Path


@dataclass(frozen=True, slots=True)
class ScoredClip:
    """One clip or picture of a person.

    Attributes:
        split: Of the person.
        kind: Of ``SECONDS``, or ``picture``.
        person: Who it shows.
        rows: A face each: its track, then ``COLUMNS`` from the time on, and ``QUALITY``.
        shift: By how much the mean logit moves when crops are encoded again.
    """

    split: Split
    kind: str
    person: str
    rows: list[list[float]]
    shift: float


def count_people(source: Source) -> int:
    """Returns how many people are scored.

    Raises:
        UsageError: The split has no colour photo of a person with a face.
    """
    return len(_people(source)[0])


def score_people(source: Source, workers: int = 1) -> Iterator[tuple[int, list[ScoredClip]]]:
    """Makes and scores the clips of people; yields each one's place and clips as they are done, in any order.

    Args:
        source: Whose clips.
        workers: Processes, each with the networks loaded.

    Raises:
        UsageError: See ``count_people``.
        UnreadableInputError: A photo cannot be read, or took its process down.
        ModelFileError: A network cannot be used.
    """
    people, _ = _people(source)
    tasks = [(source, place) for place in range(len(people))]
    for (_, place), clips in run_each(_score_person, tasks, min(workers, len(tasks))):
        if clips is None:
            raise UnreadableInputError(
                f"{people[place].path}: ended the process that scored it. Check that the file opens, and free memory."
            )
        yield place, clips


def write_scores(path: Path, clips: Sequence[ScoredClip], checkpoint_sha256: str, detector_sha256: str) -> None:
    """Writes all scores as .npz, whole or not at all.

    Args:
        path: Where to.
        clips: In the order in which they are numbered.
        checkpoint_sha256: Of the classifier's checkpoint.
        detector_sha256: Of the detector's file.

    Raises:
        OutputError: The file cannot be written.
    """
    rows = [[number, *row] for number, clip in enumerate(clips) for row in clip.rows]
    write_atomically(
        path,
        lambda file: np.savez_compressed(
            file,
            rows=np.array(rows, np.float32),
            clips=np.array([(clip.split, clip.kind, clip.person) for clip in clips]),
            shift=np.array([clip.shift for clip in clips], np.float32),
            columns=np.array((*COLUMNS, *QUALITY)),
            checkpoint_sha256=np.array(checkpoint_sha256),
            detector_sha256=np.array(detector_sha256),
        ),
    )


def _score_person(task: tuple[Source, int]) -> list[ScoredClip]:
    """Returns the clips of the person at a place, and the photo itself as a picture."""
    source, place = task
    people, forge = _people(source)
    engine, detector = _networks(source.model, source.detector)
    photo = people[place]
    person = photo.identities[0]
    scored = []
    for kind in _kinds(place, source.counts):
        clip = make_clip(photo, place, forge if kind == "forged" else None, SECONDS[kind])
        watch = Watch(FrameStep(engine, detector))
        watch_video(OwnFrames(clip, None, SAMPLE_FPS), watch, None, Limits())
        scored.append(ScoredClip(source.split, kind, person, _rows(watch), _shift(watch)))
    watch = Watch(FrameStep(engine, detector, tracks=False))
    with FileFrames(str(photo.path), None, "image") as pictures:
        watch_image(pictures, watch, Limits())
    return [*scored, ScoredClip(source.split, "picture", person, _rows(watch), 0.0)]


@lru_cache(maxsize=1)
def _people(source: Source) -> tuple[list[Photo], Mixture]:
    """Returns one photo of each person, and what forges them with faces from among them.

    Raises:
        UsageError: There is none.
    """
    people = one_photo_each(read_photos(source.faces, source.split), source.counts.real)
    if not people:
        raise UsageError(f"{source.faces}: no colour photo with a face in split {source.split}.")
    return people, Mixture(people)


@lru_cache(maxsize=1)
def _networks(model: Path, detector: Path) -> tuple[Engine, FaceDetector]:
    """Returns classifier and face detector, loaded once in each process."""
    return open_engine(model, threads=1), FaceDetector(detector, threads=1)


def one_photo_each(photos: Sequence[Photo], count: int) -> list[Photo]:
    """Returns the first colour photo of each of at most ``count`` people, drawn with a fixed seed."""
    by_person = {photo.identities[0]: photo for photo in reversed(photos) if not photo.grey}
    people = sorted(by_person)
    order = np.random.default_rng(0).permutation(len(people))[:count]
    return [by_person[people[place]] for place in order]


def _kinds(place: int, counts: Counts) -> list[str]:
    """Returns the kinds of clip of the person at a place."""
    return ["real", *(["forged"] if place < counts.forged else []), *(["long"] if place < counts.longer else [])]


def _rows(watch: Watch) -> list[list[float]]:
    """Returns a row a scored face."""
    return [[track, *_values(score)] for track, scores in watch.scores.items() for score in scores]


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
