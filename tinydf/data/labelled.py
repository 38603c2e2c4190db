"""Prepared sets -> labelled pairs: a forgery of the set with a real face of the same source and compression."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.random import Generator
from torch.utils.data import Dataset

from tinydf.data.photos import Photo
from tinydf.data.samples import Pair, cut_patch, make_labelled_pair
from tinydf_runtime.errors import UsageError
from tinydf_runtime.faces.crop import CropConfig

Videos = list[list[Photo]]


class LabelledPairs(Dataset[Pair]):
    """Series of labelled pairs. Pair ``i`` depends on seed and ``i`` only.

    Classes are balanced three times over: as many real as forged faces, each method as often as the others, and each
    video of a method as often as the others, however many faces it has.
    """

    def __init__(self, pictures: Sequence[Photo], patch_px: int, length: int, seed: int) -> None:
        """Sorts the pictures.

        Args:
            pictures: Real and forged, of one or several sets.
            patch_px: Side of the window that is cut out of each crop; a crop's side for the whole.
            length: Number of pairs.
            seed: Seed of all randomness.

        Raises:
            UsageError: There are no forged pictures, or a set has no real ones to go with its forged ones.
        """
        groups: dict[tuple[str, str, str], dict[str, list[Photo]]] = defaultdict(lambda: defaultdict(list))
        for picture in pictures:
            key = (picture.source, picture.compression, picture.method if picture.label == "fake" else "")
            groups[key][picture.video].append(picture)
        self._methods = sorted(key for key in groups if key[2])
        if not self._methods:
            raise UsageError("no forged picture in the training split: supervised training needs a prepared set.")
        for source, compression, method in self._methods:
            if (source, compression, "") not in groups:
                raise UsageError(
                    f"{source} {compression} {method}: no real picture of the same source and compression in the "
                    "training split. Prepare the set's real videos too."
                )
        self._videos: dict[tuple[str, str, str], Videos] = {key: list(value.values()) for key, value in groups.items()}
        self._of_people = _by_people(self._videos, self._methods)
        self._patch_px, self._length, self._seed = patch_px, length, seed

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Pair:
        """Makes pair ``index``."""
        # A worker process is one core; OpenCV's own threads would fight over it.
        cv2.setNumThreads(1)
        rng = np.random.default_rng((self._seed, index))
        method = self._methods[rng.integers(len(self._methods))]
        fake = _draw(self._videos[method], rng)
        return cut_patch(make_labelled_pair(self._real_for(fake, rng), fake, CropConfig(), rng), self._patch_px, rng)

    def _real_for(self, fake: Photo, rng: Generator) -> Photo:
        """Draws a real picture of a person who is in the forged one, where the set has one."""
        own = [
            video
            for person in fake.identities
            for video in self._of_people.get((fake.source, fake.compression, person), [])
        ]
        return _draw(own or self._videos[fake.source, fake.compression, ""], rng)


def _by_people(
    videos: dict[tuple[str, str, str], Videos], methods: list[tuple[str, str, str]]
) -> dict[tuple[str, str, str], Videos]:
    people: dict[tuple[str, str, str], Videos] = defaultdict(list)
    for source, compression in {(source, compression) for source, compression, _ in methods}:
        for video in videos[source, compression, ""]:
            for person in video[0].identities:
                people[source, compression, person].append(video)
    return people


def _draw(videos: Videos, rng: Generator) -> Photo:
    video = videos[rng.integers(len(videos))]
    return video[rng.integers(len(video))]
