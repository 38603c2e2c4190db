"""Attributes of many crops -> a small stratified sample of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

PARTS = 3
"""Number of equal parts that numbers are cut into: small, middle, large."""


@dataclass(frozen=True, slots=True)
class LabelledCrops:
    """N crops and what is known about each.

    Attributes:
        crops: N x side x side x 3, RGB, uint8.
        forged: N, bool, the truth.
        cluster: N, the number of the video or photo that each is from.
        source: N, the set that each is from.
        method: N, how each was forged; ``real`` for real ones.
        compression: N, as the set's owners call it.
        face_px: N, the longer side of the face in the picture.
        sharpness: N, variance of the Laplacian of the crop's luma.
        bits_per_pixel: N, what JPEG of one fixed quality needs for the crop: the less, the stronger it was compressed.
    """

    crops: NDArray[np.uint8]
    forged: NDArray[np.bool_]
    cluster: NDArray[np.intp]
    source: NDArray[np.str_]
    method: NDArray[np.str_]
    compression: NDArray[np.str_]
    face_px: NDArray[np.float64]
    sharpness: NDArray[np.float64]
    bits_per_pixel: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.crops)

    def attributes(self) -> dict[str, NDArray[Any]]:
        """Returns what a sample is balanced over: name -> N values."""
        return {
            "source": self.source,
            "forged": self.forged,
            "method": self.method,
            "compression": self.compression,
            "size": self.face_px,
            "sharpness": self.sharpness,
            "bits per pixel": self.bits_per_pixel,
        }

    def take(self, places: NDArray[np.intp]) -> LabelledCrops:
        """Returns the crops at some places, in that order."""
        return LabelledCrops(
            self.crops[places],
            self.forged[places],
            self.cluster[places],
            self.source[places],
            self.method[places],
            self.compression[places],
            self.face_px[places],
            self.sharpness[places],
            self.bits_per_pixel[places],
        )


def stratified_sample(attributes: Sequence[NDArray[Any]], count: int, seed: int = 0) -> NDArray[np.intp]:
    """Chooses members so that every value of every attribute is there about as often as its others.

    Each next member is the one whose values were taken least so far, counted over all attributes. A rare source is
    thus taken as often as a common one, until it has no more to give.

    Args:
        attributes: Arrays of N: words and truths count as they are, numbers by thirds of their distribution.
        count: How many to choose; all are returned where there are no more.
        seed: Decides between members that are equally welcome.

    Returns:
        Places in ascending order.
    """
    size = len(attributes[0])
    if count >= size:
        return np.arange(size)
    codes = [_codes(values) for values in attributes]
    shuffled = np.random.default_rng(seed).permutation(size)
    codes = [one[shuffled] for one in codes]
    taken = [np.zeros(one.max() + 1) for one in codes]
    burden = np.zeros(size)
    chosen = []
    for _ in range(count):
        place = int(np.argmin(burden))
        chosen.append(shuffled[place])
        burden[place] = np.inf
        for one, counts in zip(codes, taken, strict=True):
            # In units of a fair share, so that an attribute of many values weighs no less than one of two.
            counts[one[place]] += 1
            burden += (one == one[place]) * len(counts)
    return np.sort(np.array(chosen, np.intp))


def hash_crops(crops: NDArray[np.uint8]) -> str:
    """Returns the SHA-256, 64 hexadecimal digits, of the bytes of N x side x side x 3 crops in their order."""
    return hashlib.sha256(np.ascontiguousarray(crops).tobytes()).hexdigest()


def cut_into_parts(values: NDArray[Any]) -> NDArray[np.intp]:
    """Returns for each of N numbers which of ``PARTS`` parts of their distribution it is in."""
    edges = np.quantile(values, np.arange(1, PARTS) / PARTS)
    return np.searchsorted(edges, values, side="left").astype(np.intp)


def _codes(values: NDArray[Any]) -> NDArray[np.intp]:
    """Returns for each value which stratum it is in, numbered without gaps."""
    parts = cut_into_parts(values) if values.dtype.kind in "fiu" else values
    return np.asarray(np.unique(parts, return_inverse=True)[1], np.intp)
