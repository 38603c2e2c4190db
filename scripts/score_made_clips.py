"""Makes small clips of real and of forged faces and stores every score that the runtime gives them.

Run: python scripts/score_made_clips.py FACES SCORES.npz (needs the extra "train"). FACES is a folder of photos as
tinydf-train reads it; each person gives one photo, which is shown as a clip (``made_clips.py``) and judged by the
runtime's own detector, tracks and crops. The photo itself is judged as a picture. What is stored is read by
``measure_real_people.py`` and by ``compare_verdict_rules.py``.
"""

from __future__ import annotations

import time
from dataclasses import astuple
from pathlib import Path
from typing import get_args

import click
import cv2
import numpy as np
from numpy.typing import NDArray

from made_clips import make_clip
from tinydf.data.families.table import Mixture
from tinydf.data.manifest import Split
from tinydf.data.photos import Photo, read_photos
from tinydf_runtime.engines.engine import Engine, open_engine
from tinydf_runtime.faces.detector import FaceDetector
from tinydf_runtime.io.file_frames import FileFrames
from tinydf_runtime.io.own_frames import OwnFrames
from tinydf_runtime.models.shipped import DEFAULT_DETECTOR, DEFAULT_MODEL
from tinydf_runtime.results import FaceQuality, FaceScore
from tinydf_runtime.steps import FrameStep
from tinydf_runtime.verdict.evidence import to_logit, to_logits
from tinydf_runtime.verdict.recheck import reencode_crop
from tinydf_runtime.watch import Limits, Watch, watch_image, watch_video

SAMPLE_FPS = 5.0
SECONDS, LONG_SECONDS = 4.0, 16.0
COLUMNS = ("clip", "track", "time_s", "left", "top", "right", "bottom", "detection_score", "fake_probability")
QUALITY = tuple(FaceQuality.__slots__)


class Scored:
    """What was stored so far: rows of scores, and what each clip is."""

    def __init__(self) -> None:
        self.rows: list[list[float]] = []
        self.clips: list[tuple[str, str, str]] = []
        self.shift: list[float] = []

    def add(self, split: str, kind: str, person: str, watch: Watch) -> None:
        """Takes the scores of one clip or picture."""
        number = len(self.clips)
        for track, scores in watch.scores.items():
            self.rows += [[number, track, *_values(score)] for score in scores]
        self.clips.append((split, kind, person))
        self.shift.append(_shift(watch) if kind != "picture" else 0.0)

    def write(self, path: Path, checkpoint_sha256: str, detector_sha256: str) -> None:
        """Writes it all, with what scored it."""
        np.savez_compressed(
            path,
            rows=np.array(self.rows, np.float32),
            clips=np.array(self.clips),
            shift=np.array(self.shift, np.float32),
            columns=(*COLUMNS, *QUALITY),
            checkpoint_sha256=checkpoint_sha256,
            detector_sha256=detector_sha256,
        )


@click.command()
@click.argument("faces", type=click.Path(path_type=Path, exists=True))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--model", type=click.Path(path_type=Path), default=DEFAULT_MODEL, help="Exported classifier.")
@click.option("--detector", type=click.Path(path_type=Path), default=DEFAULT_DETECTOR, help="Face detector.")
@click.option("--split", "splits", multiple=True, type=click.Choice(get_args(Split)), default=("val", "test"))
@click.option("--real", default=400, show_default=True, help="People of each split whose clip stays real.")
@click.option("--forged", default=120, show_default=True, help="How many of them are also shown forged.")
@click.option("--long", "longer", default=25, show_default=True, help="How many of them are also shown for 16 s.")
def main(
    faces: Path, out: Path, model: Path, detector: Path, splits: tuple[Split, ...], real: int, forged: int, longer: int
) -> None:
    """Makes the clips, scores them and stores the scores."""
    cv2.setNumThreads(1)
    engine, finder = open_engine(model, threads=1), FaceDetector(detector, threads=1)
    scored = Scored()
    for split in splits:
        people = one_photo_each(read_photos(faces, split), real)
        forge = Mixture(people)
        for place, photo in enumerate(people):
            person = photo.identities[0]
            for kind in ("real", *(["forged"] if place < forged else []), *(["long"] if place < longer else [])):
                clip = make_clip(
                    photo, place, forge if kind == "forged" else None, LONG_SECONDS if kind == "long" else 4
                )
                watch = Watch(FrameStep(engine, finder))
                watch_video(OwnFrames(clip, None, SAMPLE_FPS), watch, None, Limits())
                scored.add(split, kind, person, watch)
            watch = Watch(FrameStep(engine, finder, tracks=False))
            with FileFrames(str(photo.path), None, "image") as pictures:
                watch_image(pictures, watch, Limits())
            scored.add(split, "picture", person, watch)
            if (place + 1) % 10 == 0:
                # A run that is stopped leaves what it has.
                scored.write(out, engine.spec.checkpoint_sha256, finder.sha256)
                click.echo(f"{split}: {place + 1} of {len(people)} people, {time.process_time():.0f} s of a core")
    scored.write(out, engine.spec.checkpoint_sha256, finder.sha256)
    click.echo(f"{out}: {len(scored.clips)} clips and pictures, {len(scored.rows):,} faces")


def one_photo_each(photos: list[Photo], count: int) -> list[Photo]:
    """Returns the first colour photo of each of some people, drawn at random but always the same."""
    by_person = {photo.identities[0]: photo for photo in reversed(photos) if not photo.grey}
    people = sorted(by_person)
    order = np.random.default_rng(0).permutation(len(people))[:count]
    return [by_person[people[place]] for place in order]


def _values(score: FaceScore) -> list[float]:
    """Returns a face's row, without its first two columns."""
    quality = FaceQuality() if score.quality is None else score.quality
    return [score.time_s, *score.box_xyxy, score.detection_score, score.fake_probability, *astuple(quality)]


def _shift(watch: Watch) -> float:
    """Returns how far encoding its pictures again moves the mean logit of the person that is seen most."""
    track = max(watch.scores, key=lambda one: len(watch.scores[one]), default=None)
    pictures = [] if track is None else watch.exemplars.pictures(track)[:4]
    if not pictures:
        return 0.0
    before = [to_logit(picture.record.fake_probability) for picture in pictures]
    return float((_logits(watch.step.engine, [reencode_crop(picture.crop) for picture in pictures]) - before).mean())


def _logits(engine: Engine, crops: list[NDArray[np.uint8]]) -> NDArray[np.float64]:
    return to_logits(engine.score(np.stack(crops)).fake_probability.astype(np.float64))


if __name__ == "__main__":
    main()
