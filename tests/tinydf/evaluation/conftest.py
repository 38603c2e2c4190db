"""Prepared sets of flat pictures: the hand-written classifier calls a face as fake as it is green."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from tinydf.data.manifest import FaceRow, Split, write_table
from tinydf.evaluation.evaluate import evaluate
from tinydf.evaluation.faces import open_faces
from tinydf.evaluation.result import Evaluation
from tinydf.evaluation.scoring import Scorer, open_scorer

SetWriter = Callable[..., Path]


@dataclass(frozen=True, slots=True)
class Flat:
    """A video of flat green pictures.

    ``greens`` are the levels of its frames, 0..255; everything else is as in ``FaceRow``.
    """

    method: str
    video: str
    greens: Sequence[int]
    compression: str = "c23"
    split: Split = "test"
    side_px: int = 60
    sharpness: float = 10.0
    track: int = 0
    detection_score: float = 0.9
    source: str = "set"


@pytest.fixture(scope="session")
def flat() -> type[Flat]:
    """The class of a video of flat pictures."""
    return Flat


@pytest.fixture(scope="session")
def write_set(tmp_path_factory: pytest.TempPathFactory) -> SetWriter:
    """Writes a prepared folder: ``write_set(videos)``; a face is in the middle of its picture, one frame a second."""

    def write(videos: Sequence[Flat]) -> Path:
        folder = tmp_path_factory.mktemp("set")
        rows = []
        for number, flat in enumerate(videos):
            for frame, green in enumerate(flat.greens):
                name = f"{number}-{frame}.png"
                window = np.zeros((2 * flat.side_px, 2 * flat.side_px, 3), np.uint8)
                window[..., 1] = green
                cv2.imwrite(str(folder / name), window)
                rows.append(
                    FaceRow(
                        file=name,
                        label="real" if flat.method == "real" else "fake",
                        source=flat.source,
                        method=flat.method,
                        compression=flat.compression,
                        split=flat.split,
                        video=flat.video,
                        identities=(f"{flat.split}/{flat.video}",),
                        frame=frame,
                        time_s=float(frame),
                        track=flat.track,
                        box_xyxy=(flat.side_px / 2, flat.side_px / 2, flat.side_px * 1.5, flat.side_px * 1.5),
                        landmarks=(0.0,) * 10,
                        detection_score=flat.detection_score,
                        sharpness=flat.sharpness,
                        sha256="0" * 64,
                    )
                )
        write_table(rows, folder)
        return folder

    return write


@pytest.fixture(scope="session")
def two_methods(write_set: SetWriter) -> Path:
    """Two methods whose videos bear the same names, at two compressions; Swap at c40 is as green as the real ones."""
    greens = {
        ("real", "c23"): (60, 70, 80, 90),
        ("real", "c40"): (100, 110, 120, 130),
        ("Swap", "c23"): (140, 150, 160, 170),
        ("Swap", "c40"): (100, 110, 120, 130),
        ("Mask", "c23"): (75, 85, 150, 160),
        ("Mask", "c40"): (180, 190, 200, 210),
    }
    videos = [
        Flat(method, f"{number:03}", (level, level + 2), compression, side_px=60 if number < 2 else 120)
        for (method, compression), levels in greens.items()
        for number, level in enumerate(levels)
    ]
    return write_set(videos)


@pytest.fixture(scope="session")
def scorer(tiny_classifier: Path) -> Scorer:
    return open_scorer(tiny_classifier, threads=1)


@pytest.fixture(scope="session")
def evaluation(two_methods: Path, scorer: Scorer) -> Evaluation:
    return evaluate(scorer, open_faces(two_methods, "test", scorer.spec.crop))
