"""Folder of prepared faces -> labelled crops, to calibrate on and to measure with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from tinydf.data.windows import measure_sharpness
from tinydf.evaluation.faces import Entries, ListedFace, open_faces
from tinydf.evaluation.perturbations import UNCHANGED
from tinydf_calibration.sampler import LabelledCrops, stratified_sample
from tinydf_runtime.errors import TinyDFError, UnreadableInputError
from tinydf_runtime.faces.crop import CropConfig
from tinydf_runtime.types import Image, OnProgress, longer_side

if TYPE_CHECKING:
    from tinydf.data.manifest import Split

__all__ = ["LabelledCrops", "read_labelled_crops"]

JPEG_QUALITY = 90

Skip = Callable[[str], None]
"""Called with the name of an unreadable picture and the reason."""


def read_labelled_crops(
    folder: Path,
    split: Split,
    crop_config: CropConfig,
    count: int,
    seed: int = 0,
    report: OnProgress = lambda done, total: None,
    skip: Skip = lambda reason: None,
) -> LabelledCrops:
    """Cuts crops that represent a split: balanced over source, size, compression and forgery method.

    In a folder of real photos only, each comes with a synthetic forgery made from it.

    Args:
        folder: Holds ``faces.parquet`` or ``faces.csv``.
        split: Which part of it.
        crop_config: How the network wants its crops.
        count: How many crops; fewer where there are no more or some cannot be read.
        seed: Of the choice and of forgeries.
        report: Called with the number of pictures cut and their total.
        skip: Called for each picture that is left out.

    Raises:
        UnreadableInputError: The table is missing or damaged, or not one picture can be read.
        UsageError: The split is empty.
    """
    entries = open_faces(folder, split, crop_config, seed=seed).entries
    chosen = _choose_entries(entries, count, seed)
    crops: list[Image] = []
    faces: list[ListedFace] = []
    first_failure = ""
    for done, place in enumerate(chosen, start=1):
        try:
            cut = entries.cut(int(place), [UNCHANGED]).crops[:, 0]
        except TinyDFError as error:
            first_failure = first_failure or str(error)
            skip(str(error))
        else:
            crops.extend(cut)
            faces.extend(entries.faces(int(place)))
        report(done, len(chosen))
    if not crops:
        raise UnreadableInputError(f"{folder}: not one picture of split {split} can be read. First: {first_failure}")
    return _label(crops, faces)


def _choose_entries(entries: Entries, count: int, seed: int) -> list[int]:
    """Returns the places of the entries whose faces are about ``count``."""
    listed = [entries.faces(place) for place in range(len(entries))]
    # The last face of a pair is the forged one, whose method is the pair's.
    told = [faces[-1] for faces in listed]
    attributes = [
        np.array([face.video.source for face in told]),
        np.array([face.video.method for face in told]),
        np.array([face.video.compression for face in told]),
        np.array([face.video.forged for face in told]),
        np.array([longer_side(face.box_xyxy) for face in told]),
    ]
    return [int(place) for place in stratified_sample(attributes, max(1, count // len(listed[0])), seed)]


def _label(crops: list[Image], faces: list[ListedFace]) -> LabelledCrops:
    numbers: dict[str, int] = {}
    blue_first = [np.ascontiguousarray(crop[..., ::-1]) for crop in crops]
    return LabelledCrops(
        crops=np.stack(crops),
        forged=np.array([face.video.forged for face in faces]),
        cluster=np.array([numbers.setdefault(face.video.original, len(numbers)) for face in faces], np.intp),
        source=np.array([face.video.source for face in faces]),
        # Real crops beside each forgery type are all real.
        method=np.array([face.video.method if face.video.forged else "real" for face in faces]),
        compression=np.array([face.video.compression for face in faces]),
        face_px=np.array([longer_side(face.box_xyxy) for face in faces], np.float64),
        sharpness=np.array([measure_sharpness(crop) for crop in blue_first]),
        bits_per_pixel=np.array([_bits_per_pixel(crop) for crop in blue_first]),
    )


def _bits_per_pixel(crop: Image) -> float:
    _, stored = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return float(stored.size * 8 / (crop.shape[0] * crop.shape[1]))
