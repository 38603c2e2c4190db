"""Detection scores of real people in clips and of what is no face -> from which median on a track counts as a person.

Run: python scripts/choose_certain_score.py SCORES.npz SCENES [--store DETECTOR.onnx]. SCORES.npz is what
tinydf-score-clips stored with that detector. SCENES is a folder with scenes.csv (file, split, faces, ignore: JSON
lists of x, y, width, height first), whose pictures are shown as clips like those. The highest score is chosen that
loses no more than LOST of the people.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from statistics import median

import click
import cv2
import numpy as np
import onnx

from tinydf.data.photos import Photo
from tinydf.evaluation.scored_clips import read_clips
from tinydf.evaluation.synthetic_clips import make_clip
from tinydf_runtime.faces.detector import METADATA_KEY, FaceDetector
from tinydf_runtime.faces.tracker import CERTAIN_SCORE, FaceTracker
from tinydf_runtime.io.files import write_atomically
from tinydf_runtime.io.image import read_image
from tinydf_runtime.models.seal import BLANK_SEAL, SEAL_KEY, seal
from tinydf_runtime.models.shipped import DEFAULT_DETECTOR
from tinydf_runtime.types import Face, longer_side
from tinydf_runtime.verdict.evidence import MINIMUM_SIDE_PX
from tinydf_runtime.verdict.rules import MINIMUM_FACES

LOST = 0.02
"""Share of the people in synthetic clips, small and coarsely coded ones included, that may go unjudged."""
STEPS = tuple(round(0.5 + step / 100, 2) for step in range(49))
SAMPLED = 2
"""Every second frame of a made clip is looked at: five a second."""


@click.command()
@click.argument("scores", type=click.Path(path_type=Path, exists=True))
@click.argument("scenes", type=click.Path(path_type=Path, exists=True))
@click.option("--detector", type=click.Path(path_type=Path), default=DEFAULT_DETECTOR)
@click.option("--limit", default=300, show_default=True, help="Pictures of the world without a face that are shown.")
@click.option("--store", type=click.Path(path_type=Path), help="Detector to write the score into.")
def main(scores: Path, scenes: Path, detector: Path, limit: int, store: Path | None) -> None:
    """Prints what each score keeps and drops, and chooses one."""
    cv2.setNumThreads(1)
    clips = [clip for clip in read_clips(scores) if clip.kind == "real" and clip.split == "val"]
    people = np.array([median(s.detection_score for s in clip.main()) if clip.tracks else 0.0 for clip in clips])
    false = np.array(false_tracks(scenes, FaceDetector(detector, threads=1), limit))
    click.echo(f"{len(people)} people, {len(false)} tracks of what is no face in {limit} clips of scenes")
    for step in STEPS:
        dropped = float((false < step).mean()) if len(false) else 0.0
        click.echo(f"{step:.2f}: {(people < step).mean():.1%} of people lost, {dropped:.1%} of false tracks dropped")
    chosen = max((step for step in STEPS if (people < step).mean() <= LOST), default=STEPS[0])
    click.echo(f"chosen: {chosen}; without a word of the file: {CERTAIN_SCORE}")
    if store is not None:
        model = onnx.load(store)
        facts = {entry.key: entry.value for entry in model.metadata_props}
        facts[METADATA_KEY] = json.dumps(json.loads(facts[METADATA_KEY]) | {"certain_score": chosen})
        onnx.helper.set_model_props(model, facts | {SEAL_KEY: BLANK_SEAL})
        write_atomically(store, seal(model.SerializeToString(deterministic=True)))


def false_tracks(scenes: Path, detector: FaceDetector, limit: int) -> list[float]:
    """Returns the median score of each track, long and large enough to be judged, in clips without a face."""
    with (scenes / "scenes.csv").open(newline="", encoding="utf-8") as lines:
        rows = [row for row in csv.DictReader(lines) if row["split"] == "val"]
    rows = [row for row in rows if not json.loads(row["faces"]) and not json.loads(row["ignore"])][:limit]
    found = []
    for place, row in enumerate(rows):
        image = read_image(scenes / row["file"])
        height, width = image.shape[:2]
        # The whole picture fills the clip: its "face" is the middle, about as large as a face would be.
        middle = Face((width * 0.35, height * 0.3, width * 0.65, height * 0.7), (), 1.0)
        photo = Photo(scenes / row["file"], "scenes", (row["file"],), (middle,))
        tracker, scores = FaceTracker(), dict[int, list[float]]()
        for frame in make_clip(photo, place)[::SAMPLED]:
            for track, face in tracker.update(frame, detector.detect(frame.image)):
                if longer_side(face.box_xyxy) >= MINIMUM_SIDE_PX:
                    scores.setdefault(track, []).append(face.score)
        found += [median(values) for values in scores.values() if len(values) >= MINIMUM_FACES]
    return found


if __name__ == "__main__":
    main()
