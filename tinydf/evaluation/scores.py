"""Faces -> scores, a batch at a time; memory grows with the number of faces, not of pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from tinydf.evaluation.faces import Cut, Entries, FaceSet, ListedFace, Video
from tinydf.evaluation.perturbations import Perturbation
from tinydf.evaluation.scoring import Scorer
from tinydf_runtime.errors import TinyDFError
from tinydf_runtime.types import OnProgress

BATCH_CROPS = 32


@dataclass(frozen=True, slots=True)
class Failure:
    """A picture that could not be measured.

    Attributes:
        reason: What and why, in one line.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class ScoredFaces:
    """N faces of V perturbations.

    Attributes:
        faces: N, as listed; their sharpness is known.
        logit: N x V, float64.
        videos: All videos, in order of their first face.
        video: N, index into ``videos``.
    """

    faces: tuple[ListedFace, ...]
    logit: NDArray[np.float64]
    videos: tuple[Video, ...]
    video: NDArray[np.intp]

    def rescaled(self, factor: float) -> ScoredFaces:
        """Returns the same faces with all logits multiplied, as another temperature would give them."""
        return replace(self, logit=self.logit * factor)


def score_faces(
    face_set: FaceSet,
    scorer: Scorer,
    ladder: Sequence[Perturbation],
    workers: int = 0,
    report: OnProgress = lambda done, total: None,
) -> tuple[ScoredFaces, tuple[Failure, ...]]:
    """Scores every face of a set under every perturbation of a ladder.

    Args:
        face_set: What to score.
        scorer: The network.
        ladder: Perturbations of each picture before its crop; each picture is read once for all of them.
        workers: Processes that read and crop; 0 for none but this one.
        report: Called after each batch, in entries.

    Returns:
        The scored faces, and the pictures that could not be measured.
    """
    # Worker processes are forked from this one; OpenCV's threads would not survive that.
    cv2.setNumThreads(1)
    entries = face_set.entries
    batches: DataLoader[Cut | Failure] = DataLoader(
        _Cuts(entries, ladder),
        batch_size=max(1, BATCH_CROPS // (2 * len(ladder))),
        collate_fn=list,
        num_workers=workers,
    )
    faces: list[ListedFace] = []
    logits = [np.empty((0, len(ladder)))]
    failures: list[Failure] = []
    done = 0
    for batch in batches:
        cuts = [(place, cut) for place, cut in enumerate(batch, done) if isinstance(cut, Cut)]
        failures += [cut for cut in batch if isinstance(cut, Failure)]
        for place, cut in cuts:
            faces += [replace(face, sharpness=cut.sharpness) for face in entries.faces(place)]
        if cuts:
            crops = np.concatenate([cut.crops.reshape(-1, *cut.crops.shape[2:]) for _, cut in cuts])
            logits.append(_score_all(scorer, crops).reshape(-1, len(ladder)))
        done += len(batch)
        report(done, len(entries))
    # One broken photo fails once for every forgery type.
    unique = tuple(dict.fromkeys(failures))
    return _table(faces, np.concatenate(logits)), unique


def _score_all(scorer: Scorer, crops: NDArray[np.uint8]) -> NDArray[np.float64]:
    return np.concatenate(
        [scorer.logits(crops[start : start + BATCH_CROPS]) for start in range(0, len(crops), BATCH_CROPS)]
    )


def _table(faces: Sequence[ListedFace], logit: NDArray[np.float64]) -> ScoredFaces:
    numbers: dict[Video, int] = {}
    video = [numbers.setdefault(face.video, len(numbers)) for face in faces]
    return ScoredFaces(tuple(faces), logit, tuple(numbers), np.array(video, np.intp))


class _Cuts(Dataset["Cut | Failure"]):
    """Entries as a PyTorch data set; an unreadable one is a result and not an exception."""

    def __init__(self, entries: Entries, ladder: Sequence[Perturbation]) -> None:
        self._entries, self._ladder = entries, ladder

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> Cut | Failure:
        cv2.setNumThreads(1)
        try:
            return self._entries.cut(index, self._ladder)
        except TinyDFError as error:
            return Failure(str(error))
