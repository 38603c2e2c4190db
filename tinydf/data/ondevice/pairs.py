"""Packed faces -> an endless, repeatable series of batches of training pairs, made on the device."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import chain, count, islice

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tinydf.data.dataset import MAP_CELL_PX, Batch
from tinydf.data.ondevice.crops import crop_faces, jitter_boxes, scale_boxes
from tinydf.data.ondevice.degrade import degrade
from tinydf.data.ondevice.faces import Faces, draw_faces
from tinydf.data.ondevice.families.self_blend import change_look
from tinydf.data.ondevice.families.table import BatchMixture
from tinydf.data.ondevice.randomness import Numbers, Randomness, change_some, open_randomness
from tinydf.data.ondevice.store import SURROUND, PackedFaces
from tinydf_runtime.crop import CropRecipe
from tinydf_runtime.errors import UsageError


class DevicePairs:
    """Batches like those that ``dataset.PairSeries`` and ``dataset.collate`` make, but made whole where they are used.

    The batch of a step is a function of the settings and the step alone, so that a resumed run goes on as it would
    have. Nothing in it waits for the device. Several steps' batches are made at once: an operation costs the host the
    same for many pairs as for few.
    """

    def __init__(
        self,
        store: PackedFaces,
        *,
        steps: int,
        batch_pairs: int,
        patch_px: int,
        seed: int,
        easy: int = 0,
        without: Collection[str] = (),
        start: int = 0,
        rank: int = 0,
        world_size: int = 1,
        pairs_at_once: int = 128,
    ) -> None:
        """Sets the series up.

        Args:
            store: What to forge, on the device of this process.
            steps: Number of batches from the beginning of the run.
            batch_pairs: Pairs in a step, over all processes.
            patch_px: Side of the window that is cut out of each crop; a crop's side for the whole.
            seed: Seed of all randomness.
            easy: Number of pairs over which the forgeries grow from coarse to subtle.
            without: Names of families of forgeries to leave out.
            start: Steps that a resumed run has done.
            rank: Which of the processes this is.
            world_size: Number of processes.
            pairs_at_once: Least number of pairs to make at once; 128 take about 2 GB of memory on the way.

        Raises:
            UsageError: The batch does not divide over the processes, or the families leave nothing.
        """
        if batch_pairs % world_size:
            raise UsageError(f"batch of {batch_pairs} pairs: must divide over {world_size} processes.")
        self._store, self._forge = store, BatchMixture(store, without)
        self._steps, self._start = steps, start
        self._batch_pairs, self._patch_px, self._seed, self._easy = batch_pairs, patch_px, seed, easy
        self._rank, self._world_size = rank, world_size
        self._steps_at_once = -(-pairs_at_once * world_size // batch_pairs)

    def __len__(self) -> int:
        return self._steps - self._start

    def __iter__(self) -> Iterator[Batch]:
        """Makes the batches from the starting step on, each as ``dataset.collate`` describes it, on the device."""
        first_group, done = divmod(self._start, self._steps_at_once)
        groups = map(self._make_batches, count(first_group))
        return islice(chain.from_iterable(groups), done, done + len(self))

    @torch.no_grad()
    def _make_batches(self, group: int) -> list[Batch]:
        """Makes this process's part of the batches of a group of steps."""
        rng = open_randomness((self._seed, group, self._rank, self._world_size), self._store.windows.device)
        steps = group * self._steps_at_once + np.arange(self._steps_at_once)
        index = steps[:, None] * self._batch_pairs + np.arange(self._rank, self._batch_pairs, self._world_size)
        ease = np.maximum(0.0, 1 - index.ravel() / self._easy) if self._easy else np.zeros(index.size)
        images, masks = self._make_pairs(ease, rng)
        images, masks = _cut_patches(images, masks, self._patch_px, rng)
        cells = functional.avg_pool2d(masks, MAP_CELL_PX).squeeze(1)
        by_step = (values.reshape(*index.shape, *values.shape[1:]) for values in (images.to(torch.uint8), cells))
        return [_collate(*part) for part in zip(*by_step, strict=True)]

    def _make_pairs(self, ease: Numbers, rng: Randomness) -> tuple[Tensor, Tensor]:
        """Returns the crops, N x 2 x 3 x 224 x 224, real before forged, and the masks, N x 1 x 224 x 224."""
        faces = look_around(draw_faces(self._store, ease, rng), rng)
        forged, masks = self._forge(faces, rng)
        window_px = forged.shape[-1]
        room = window_px / (SURROUND * faces.sides_px())
        degraded, scales = degrade(torch.stack((faces.images, forged), dim=1), room, rng)
        boxes, recipe = jitter_boxes(faces.boxes_xyxy, rng), CropRecipe()
        crops = crop_faces(degraded, scale_boxes(boxes, scales, window_px / 2), recipe)
        return crops.clamp_(0, 255).round_(), crop_faces(masks, boxes, recipe).clamp_(0, 1)


def look_around(faces: Faces, rng: Randomness) -> Faces:
    """Changes the look of whole pictures: only a difference inside a picture is a trace of forgery."""
    surrounds, unchanged = faces.surrounds_px(), np.zeros(len(faces))
    images = change_some(
        faces.images,
        rng.choices.random(len(faces)) < 0.4,
        lambda part, index: change_look(part, surrounds[index], rng, unchanged[index]),
    )
    return Faces(images, faces.photos, faces.boxes_xyxy, faces.landmarks, faces.ease)


def _collate(images: Tensor, cells: Tensor) -> Batch:
    """Puts the reals of N x 2 x 3 x S x S before the forgeries, with labels and maps."""
    labels = torch.zeros(2, len(images), device=images.device)
    labels[1] = 1
    return images.transpose(0, 1).flatten(0, 1), labels.flatten(), torch.cat((torch.zeros_like(cells), cells))


def _cut_patches(images: Tensor, masks: Tensor, side_px: int, rng: Randomness) -> tuple[Tensor, Tensor]:
    """Cuts the same window out of both crops and the mask, around a random place that was forged."""
    whole = images.shape[-1]
    if side_px == whole:
        return images, masks
    # Of all places that were forged, the one that draws the largest number.
    lots = torch.rand(masks.shape, generator=rng.pixels, device=masks.device)
    forged = (masks >= 0.5 * masks.amax((2, 3), keepdim=True)) * (lots + 1)
    place = forged.flatten(1).argmax(1)
    jitter = (torch.rand(len(images), 2, generator=rng.pixels, device=masks.device) * 0.8 - 0.4) * side_px
    middle = torch.stack((place // whole, place % whole), dim=1) + jitter
    corner = (middle - side_px / 2).long().clamp(0, whole - side_px)
    at = corner.unsqueeze(2) + torch.arange(side_px, device=masks.device)
    return _gather(images, at), _gather(masks, at)


def _gather(images: Tensor, at: Tensor) -> Tensor:
    """Reads rows and columns, N x 2 x P, of N x ... x S x S."""
    planes = images.flatten(1, -3)
    rows = at[:, 0, None, :, None].expand(-1, planes.shape[1], -1, planes.shape[3])
    columns = at[:, 1, None, None].expand(-1, planes.shape[1], at.shape[2], -1)
    cut = planes.gather(2, rows).gather(3, columns)
    return cut.view(*images.shape[:-2], at.shape[2], at.shape[2])
