"""Photos -> an endless, repeatable series of training pairs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count, groupby
from typing import TypeAlias

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from tinydf.data.forgery_types.blending import Forger
from tinydf.data.forgery_types.self_blend import self_blend
from tinydf.data.photos import Photo
from tinydf.data.samples import Pair, cut_patch, make_pair
from tinydf.data.skipped import Skipped, until_readable
from tinydf_runtime.faces.crop import CropConfig
from tinydf_runtime.types import longer_side

MAP_CELL_PX = 16
Batch: TypeAlias = tuple[Tensor, Tensor, Tensor]


class PairSeries(Dataset[Pair]):
    """Series of training pairs. Pair ``i`` depends on seed and ``i`` only, so that a resumed run continues identically.

    Sources are drawn by the shares of ``group_sources``.
    """

    def __init__(
        self,
        photos: Sequence[Photo],
        patch_px: int,
        length: int,
        seed: int,
        curriculum: int = 0,
        forge: Forger = self_blend,
    ) -> None:
        """Sets the series up.

        Args:
            photos: What to forge.
            patch_px: Side of the window that is cut out of each crop; a crop's side for the whole.
            length: Number of pairs.
            seed: Seed of all randomness.
            curriculum: Number of pairs over which the forgeries grow from coarse to subtle.
            forge: Makes the forgery.
        """
        self._sources, self.shares = group_sources(photos)
        self._patch_px, self._length, self._seed = patch_px, length, seed
        self._curriculum, self._forge = curriculum, forge

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Pair:
        """Makes pair ``index``."""
        # Each worker process has one core: no OpenCV threads.
        cv2.setNumThreads(1)
        rng = np.random.default_rng((self._seed, index))
        source = self._sources[rng.choice(len(self._sources), p=self.shares)]
        photo = source[rng.integers(len(source))]
        coarseness = max(0.0, 1 - index / self._curriculum) if self._curriculum else 0.0
        return cut_patch(make_pair(photo, CropConfig(), rng, self._forge, coarseness), self._patch_px, rng)


class AlternatingPairs(Dataset[Pair]):
    """Interleaves two series: even pairs from one, odd pairs from the other."""

    def __init__(self, even: Dataset[Pair], odd: Dataset[Pair], length: int) -> None:
        self._series, self._length = (even, odd), length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Pair:
        """Makes pair ``index``."""
        return self._series[index % 2][index]


class FixedPairs(Dataset[Pair]):
    """One pair of each photo, the same at every call: for validation and tests."""

    def __init__(self, photos: Sequence[Photo], seed: int, forge: Forger = self_blend) -> None:
        self._photos, self._seed, self._forge = photos, seed, forge

    def __len__(self) -> int:
        return len(self._photos)

    def __getitem__(self, index: int) -> Pair:
        """Makes the pair of photo ``index``; beyond the last photo it is the first one's turn again."""
        cv2.setNumThreads(1)
        photo = self._photos[index % len(self._photos)]
        return make_pair(photo, CropConfig(), np.random.default_rng((self._seed, index)), self._forge)


class ReadablePairs(Dataset[Pair]):
    """A series in which another pair takes the place of one whose picture cannot be read."""

    def __init__(self, series: Dataset[Pair], length: int, skipped: Skipped) -> None:
        """Sets the series up.

        Args:
            series: Gives pairs beyond its length too.
            length: Number of pairs.
            skipped: Remembers the pictures.
        """
        self._series, self._length, self._skipped = series, length, skipped

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Pair:
        """Makes pair ``index``.

        Raises:
            UnreadableInputError: Picture after picture cannot be read.
        """
        # One more than the length leads to the next photo of a fixed series, and to a pair that is not in a drawn one.
        places = count(index, self._length + 1)
        return until_readable(lambda: self._series[next(places)], self._skipped)


def group_sources(photos: Sequence[Photo]) -> tuple[list[list[Photo]], NDArray[np.float64]]:
    """Returns the photos by source, S lists, and S shares of the pairs that each source makes; they sum to 1.

    Shares are in proportion to the square root of a source's worth, the sum of its photos' ``sharpness_worth``: no
    source dominates, and large sharp faces count for more than enlarged ones.
    """
    ordered = sorted(photos, key=lambda photo: photo.source)
    sources = [list(group) for _, group in groupby(ordered, key=lambda photo: photo.source)]
    weights = np.sqrt([sum(map(sharpness_worth, source)) for source in sources])
    return sources, weights / weights.sum()


def sharpness_worth(photo: Photo) -> float:
    """Returns the share of a crop's pixels that the photo itself provides; the others are made by enlarging."""
    return min(1.0, longer_side(photo.faces[0].box_xyxy) / CropConfig().side_px) ** 2


def collate(pairs: Sequence[Pair]) -> Batch:
    """Stacks N pairs: each forgery shares its batch with its own original.

    Returns:
        Images, 2N x 3 x S x S, uint8, RGB, reals first; labels, 2N, float32, 1 for forged; forgery maps,
        2N x S/16 x S/16, float32, 0..1.
    """
    images = np.stack([pair.real for pair in pairs] + [pair.forged for pair in pairs])
    masks = torch.from_numpy(np.stack([pair.mask for pair in pairs]))
    cells = torch.nn.functional.avg_pool2d(masks.unsqueeze(1), MAP_CELL_PX).squeeze(1)
    labels = torch.repeat_interleave(torch.tensor((0.0, 1.0)), len(pairs))
    return torch.from_numpy(images).permute(0, 3, 1, 2), labels, torch.cat((torch.zeros_like(cells), cells))
