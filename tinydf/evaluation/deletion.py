"""A network and forged crops -> whether its forgery map shows what its verdict rests on.

Deletion test after Petsiuk et al., "RISE: Randomized Input Sampling for Explanation of Black-box Models" (BMVC 2018):
if the map tells the truth, blurring its highest cells away lowers the score more than blurring as many random ones.
"""

from __future__ import annotations

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


@dataclass(frozen=True, slots=True)
class Deletion:
    """Falls of the logit, N each.

    Attributes:
        by_map: After the highest cells of the map were deleted.
        by_chance: After as many random cells were.
    """

    by_map: NDArray[np.float64]
    by_chance: NDArray[np.float64]

    def share_better(self) -> float:
        """Returns the share of the crops on which the map beats chance."""
        return float((self.by_map > self.by_chance).mean())


@torch.inference_mode()
def delete_cells(network: nn.Module, images: Tensor, seed: int = 0) -> Deletion:
    """Deletes a tenth of each crop, once where the map is highest and once at random.

    Args:
        network: Maps images to logits, N, and map logits, N x h x w; in evaluation mode.
        images: N x 3 x S x S, RGB, float, 0..255, of forged faces.
        seed: Seed of the random cells.
    """
    logits, maps = network(images)
    rng = np.random.default_rng(seed)
    highest = np.stack([_mask(one.numpy()) for one in maps])
    chance = np.stack([_mask(rng.permutation(one.size).reshape(one.shape)) for one in maps.numpy()])
    falls = [(logits - network(_blurred(images, masks))[0]).double().numpy() for masks in (highest, chance)]
    return Deletion(*falls)


def _mask(values: NDArray[np.float32] | NDArray[np.int64]) -> NDArray[np.bool_]:
    """Returns the highest cells of a map, h x w."""
    count = round(SHARE * values.size)
    mask = np.zeros(values.size, np.bool_)
    mask[np.argsort(values, axis=None)[-count:]] = True
    return mask.reshape(values.shape)


def _blurred(images: Tensor, masks: NDArray[np.bool_]) -> Tensor:
    """Blurs what lies under masks, N x h x w; their edges are soft, so that the edges themselves are no trace."""
    side = images.shape[-1]
    changed = []
    for image, mask in zip(images.permute(0, 2, 3, 1).numpy(), masks, strict=True):
        weight = cv2.resize(mask.astype(np.float32), (side, side), interpolation=cv2.INTER_LINEAR)[..., None]
        changed.append(image + weight * (cv2.GaussianBlur(image, (0, 0), BLUR_SHARE * side) - image))
    return torch.from_numpy(np.stack(changed)).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
