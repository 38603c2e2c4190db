"""Composed pictures -> batches, equal for equal seeds, also after a run is resumed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from tinydf.facedetector.config import Draw
from tinydf.facedetector.mosaic import Composer, Sample
from tinydf.facedetector.world import WorldComposer
from tinydf_runtime.cli.command import leave_interrupts_to_parent


class Batch(NamedTuple):
    """N training pictures.

    Attributes:
        images: N x side x side x 3, BGR, uint8.
        boxes_xyxy: N x G x 4, pixels; G is the largest number of faces in the batch.
        landmarks: N x G x 5 x 2, pixels.
        present: N x G, bool: which of the places hold a face.
        doubtful_xyxy: N x D x 4, pixels, padded with zeros.
    """

    images: Tensor
    boxes_xyxy: Tensor
    landmarks: Tensor
    present: Tensor
    doubtful_xyxy: Tensor


class ComposedPictures(Dataset[Sample]):
    """Composed training pictures. Each is seeded by (seed, step, place), so that resuming needs no state.

    Args:
        composer: Draws the pictures.
        seed: Of the run.
        world: Draws every other picture of a batch, so that each holds portraits and scenes.
    """

    def __init__(self, composer: Composer, seed: int, world: WorldComposer | None = None) -> None:
        self._composers = (composer, world or composer)
        self._seed = seed

    def __getitem__(self, draw: Draw) -> Sample:
        composer = self._composers[draw.place % 2]
        return composer.compose(draw.side_px, np.random.default_rng((self._seed, draw.step, draw.place)))


def collate(samples: Sequence[Sample]) -> Batch:
    """Returns samples of one size as a batch, their labels padded to the same number."""
    faces = max(len(sample.boxes_xyxy) for sample in samples)
    doubts = max(len(sample.doubtful_xyxy) for sample in samples)
    n = len(samples)
    boxes = torch.zeros(n, faces, 4)
    landmarks = torch.zeros(n, faces, 5, 2)
    present = torch.zeros(n, faces, dtype=torch.bool)
    doubtful = torch.zeros(n, doubts, 4)
    for index, sample in enumerate(samples):
        count = len(sample.boxes_xyxy)
        boxes[index, :count] = torch.from_numpy(sample.boxes_xyxy)
        landmarks[index, :count] = torch.from_numpy(sample.landmarks)
        present[index, :count] = True
        doubtful[index, : len(sample.doubtful_xyxy)] = torch.from_numpy(sample.doubtful_xyxy)
    return Batch(torch.from_numpy(np.stack([s.image for s in samples])), boxes, landmarks, present, doubtful)


def _use_one_thread(worker: int) -> None:
    del worker
    # Each worker works alone; OpenCV's pool would only take the network's cores away.
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    leave_interrupts_to_parent()


def batches(pictures: ComposedPictures, plan: Iterable[list[Draw]], workers: int, pin: bool) -> DataLoader[Any]:
    """Returns a loader of the planned batches in their order.

    Args:
        pictures: All pictures of the run.
        plan: For each step still to do, which pictures make its batch; all of one side.
        workers: Processes that draw; 0 draws in this one.
        pin: Whether to stage batches for a GPU.
    """
    return DataLoader(
        pictures,
        batch_sampler=plan,
        num_workers=workers,
        collate_fn=collate,
        worker_init_fn=_use_one_thread,
        prefetch_factor=6 if workers else None,
        pin_memory=pin,
    )
