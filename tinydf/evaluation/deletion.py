"""Deletion test: network and forged crops -> whether its forgery map shows what its verdict rests on.

Deletion test after Petsiuk et al., "RISE: Randomized Input Sampling for Explanation of Black-box Models" (BMVC 2018):
if the map tells the truth, deleting its highest cells lowers the score more than deleting as many random ones. Cells
are blurred away, or, where a forgery was made from a photo at hand, get that photo's pixels back. A forgery detector
may take the blur itself for a trace; the photo's own pixels carry none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

SHARE = 0.1
"""Share of the map's cells that is deleted."""
BLUR_SHARE = 0.06
"""Deviation of the blur, as a share of the crop's side: of a face only its tone is left."""

Replacement = Callable[[int, NDArray[np.float32]], NDArray[np.float32]]
"""Number of a crop and the crop, S x S x 3 -> the crop that it gets cells from."""


@dataclass(frozen=True, slots=True)
class Deletion:
    """Drops of the logit, N each.

    Attributes:
        by_map: After the highest cells of the map were deleted.
        by_chance: After as many random cells were.
    """

    by_map: NDArray[np.float64]
    by_chance: NDArray[np.float64]

    def share_better(self) -> float:
        """Returns the share of the crops on which the map beats chance."""
        return float((self.by_map > self.by_chance).mean())


def delete_cells(network: nn.Module, images: Tensor, seed: int = 0) -> Deletion:
    """Blurs a tenth of each crop away, once where the map is highest and once at random.

    Args:
        network: Maps images to logits, N, and map logits, N x h x w; in evaluation mode.
        images: N x 3 x S x S, RGB, float, 0..255, of forged faces.
        seed: Seed of the random cells.
    """
    return _compare(network, images, _blurred, seed)


def restore_cells(network: nn.Module, images: Tensor, originals: Tensor, seed: int = 0) -> Deletion:
    """Gives a tenth of each crop its original pixels back, once where the map is highest and once at random.

    Args:
        network: As ``delete_cells`` takes it.
        images: As ``delete_cells`` takes them.
        originals: The crops that the forgeries were made from, of the same shape and geometry.
        seed: Seed of the random cells.
    """
    before = originals.permute(0, 2, 3, 1).numpy()
    return _compare(network, images, lambda index, image: before[index], seed)


@torch.inference_mode()
def _compare(network: nn.Module, images: Tensor, replace: Replacement, seed: int) -> Deletion:
    """Returns the falls after ``replace(index, crop)``, S x S x 3, took the place of a tenth of each crop."""
    logits, maps = network(images)
    rng = np.random.default_rng(seed)
    highest = np.stack([_mask(one.numpy()) for one in maps])
    chance = np.stack([_mask(rng.permutation(one.size).reshape(one.shape)) for one in maps.numpy()])
    falls = [(logits - network(_replaced(images, masks, replace))[0]).double().numpy() for masks in (highest, chance)]
    return Deletion(*falls)


def _mask(values: NDArray[np.float32] | NDArray[np.int64]) -> NDArray[np.bool_]:
    """Returns the highest cells of a map, h x w."""
    count = round(SHARE * values.size)
    mask = np.zeros(values.size, np.bool_)
    mask[np.argsort(values, axis=None)[-count:]] = True
    return mask.reshape(values.shape)


def _blurred(index: int, image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns a crop of which only the tones are left."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), BLUR_SHARE * image.shape[0]), np.float32)


def _replaced(images: Tensor, masks: NDArray[np.bool_], replace: Replacement) -> Tensor:
    """Replaces what lies under masks, N x h x w; their edges are soft, so that the edges themselves are no trace."""
    side = images.shape[-1]
    changed = []
    for index, (image, mask) in enumerate(zip(images.permute(0, 2, 3, 1).numpy(), masks, strict=True)):
        weight = cv2.resize(mask.astype(np.float32), (side, side), interpolation=cv2.INTER_LINEAR)[..., None]
        changed.append(image + weight * (replace(index, image) - image))
    return torch.from_numpy(np.stack(changed)).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
