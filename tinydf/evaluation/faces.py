"""Folder of prepared faces -> the faces to score, and their crops one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import Protocol, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from tinydf.data.forgery_types.blending import Forger
from tinydf.data.forgery_types.table import forgers_by_type
from tinydf.data.manifest import PARQUET_NAME, FaceRow, Split, read_table
from tinydf.data.photometry import as_image
from tinydf.data.photos import Photo, find_table, read_photos
from tinydf.data.samples import make_pair
from tinydf.data.windows import measure_sharpness
from tinydf.evaluation.perturbations import Perturbation
from tinydf_runtime.errors import UnreadableInputError, UsageError
from tinydf_runtime.faces.crop import CropConfig, crop_face
from tinydf_runtime.io.files import sha256_of
from tinydf_runtime.types import BoxXYXY, Image

SYNTHETIC = "synthetic"
"""Names forgeries made here from real photos, in contrast to deepfakes that others made."""
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Video:
    """A video, or a photo that stands for one; what tells it from all others.

    Attributes:
        forged: The truth.
        source: The set that it comes from.
        method: How it was forged; ``real`` for real ones.
        compression: As the set's owners call it.
        name: Unique within source, method and compression.
        rivals: Real and forged videos with the same value are compared when a method is judged.
        original: Videos with the same value are resampled together.
    """

    forged: bool
    source: str
    method: str
    compression: str
    name: str
    rivals: str
    original: str


@dataclass(frozen=True, slots=True)
class ListedFace:
    """A face that is to be scored.

    Attributes:
        video: Where it was seen.
        frame: Index of the frame.
        time_s: Its time in seconds.
        track: The person in the video.
        box_xyxy: Left, top, right, bottom in pixels of the picture.
        detection_score: 0..1.
        sharpness: As in ``FaceRow``; NaN where it is known only after the crop.
    """

    video: Video
    frame: int
    time_s: float
    track: int
    box_xyxy: BoxXYXY
    detection_score: float
    sharpness: float


@dataclass(frozen=True, slots=True)
class Cut:
    """The crops of one entry.

    Attributes:
        crops: faces x perturbations x S x S x 3, RGB, uint8.
        sharpness: Variance of the Laplacian of the first crop's luma.
    """

    crops: NDArray[np.uint8]
    sharpness: float


class Entries(Protocol):
    """Pictures that are read, perturbed and cropped one at a time, in any process."""

    def faces(self, index: int) -> tuple[ListedFace, ...]:
        """Returns the faces of an entry without reading its picture."""

    def cut(self, index: int, ladder: Sequence[Perturbation]) -> Cut:
        """Returns the crops of an entry's faces.

        Raises:
            TinyDFError: The picture cannot be read, or its box lies outside of it.
        """

    def __len__(self) -> int: ...


@dataclass(frozen=True, slots=True)
class FaceSet:
    """One split of one folder.

    Attributes:
        folder: As the user named it.
        split: Which part of it.
        table_sha256: Hash of its table.
        forgery_types: Types of its synthetic forgeries; none where the folder has fakes of its own.
        entries: What there is to score.
    """

    folder: Path
    split: Split
    table_sha256: str
    forgery_types: tuple[str, ...]
    entries: Entries


@dataclass(frozen=True, slots=True)
class StoredFaces:
    """Faces of a table that has fakes of its own."""

    folder: Path
    rows: Sequence[FaceRow]
    crop_config: CropConfig
    seed: int

    def __len__(self) -> int:
        return len(self.rows)

    def faces(self, index: int) -> tuple[ListedFace, ...]:
        """Returns the one face of a row."""
        row = self.rows[index]
        left, top, right, bottom = row.box_xyxy
        box = (left, top, right, bottom)
        return (ListedFace(_video(row), row.frame, row.time_s, row.track, box, row.detection_score, row.sharpness),)

    def cut(self, index: int, ladder: Sequence[Perturbation]) -> Cut:
        """Reads a row's picture and returns its crops."""
        row = self.rows[index]
        window = _read(self.folder / row.file)
        (face,) = self.faces(index)
        points = tuple(zip(row.landmarks[::2], row.landmarks[1::2], strict=True))
        crops = []
        for perturbation in ladder:
            changed = perturbation.apply(window, np.random.default_rng((self.seed, index)))
            crops.append(cv2.cvtColor(crop_face(changed, face.box_xyxy, self.crop_config, points), cv2.COLOR_BGR2RGB))
        return Cut(as_image(np.stack(crops))[None], row.sharpness)


@dataclass(frozen=True, slots=True)
class SyntheticPairs:
    """Real photos, each with one synthetic forgery of each type.

    Entry ``i`` is photo ``i % photos`` forged by type ``i // photos``, as ``FixedPairs`` of that type has it. Both
    crops of a pair share their degradations, and perturbations act on the crops.
    """

    photos: Sequence[Photo]
    forgers: Sequence[tuple[str, Forger]]
    crop_config: CropConfig
    seed: int

    def __len__(self) -> int:
        return len(self.photos) * len(self.forgers)

    def faces(self, index: int) -> tuple[ListedFace, ...]:
        """Returns the real and the forged face of a pair."""
        place = index % len(self.photos)
        photo, name = self.photos[place], self.forgers[index // len(self.photos)][0]
        face = photo.faces[0]
        original = f"{photo.source}/{photo.compression}/{photo.video}"
        return tuple(
            ListedFace(
                Video(forged, photo.source, method, photo.compression, f"{place}", name, original),
                *(0, 0.0, 0, face.box_xyxy, face.score, nan),
            )
            for forged, method in ((False, f"real, beside {name}"), (True, f"{SYNTHETIC}: {name}"))
        )

    def cut(self, index: int, ladder: Sequence[Perturbation]) -> Cut:
        """Makes a pair and returns its crops, the real one first."""
        place = index % len(self.photos)
        rng = np.random.default_rng((self.seed, place))
        pair = make_pair(self.photos[place], self.crop_config, rng, self.forgers[index // len(self.photos)][1])
        crops = [
            [_perturbed(crop, perturbation, (self.seed, place)) for perturbation in ladder]
            for crop in (pair.real, pair.forged)
        ]
        return Cut(as_image(np.array(crops)), measure_sharpness(as_image(cv2.cvtColor(pair.real, cv2.COLOR_RGB2BGR))))


def open_faces(folder: Path, split: Split, crop_config: CropConfig, limit: int | None = None, seed: int = 0) -> FaceSet:
    """Lists the faces of a split; pictures are read later, one at a time.

    A split without a single fake is a set of real photos: each is forged once by each forgery type.

    Args:
        folder: Holds ``faces.parquet`` or ``faces.csv``.
        split: Which part of it.
        crop_config: How the model wants its crops.
        limit: Use only so many videos or photos, evenly over the table.
        seed: Of forgeries and of perturbations.

    Raises:
        UnreadableInputError: The table is missing or damaged.
        UsageError: The split is empty.
    """
    table = find_table(folder)
    rows = [row for row in read_table(folder) if row.split == split] if table.name == PARQUET_NAME else []
    if any(row.label == "fake" for row in rows):
        chosen = set(spread(list(dict.fromkeys(_video(row) for row in rows)), limit))
        kept = [row for row in rows if _video(row) in chosen]
        return FaceSet(folder, split, sha256_of(table), (), StoredFaces(folder, kept, crop_config, seed))
    photos = spread(read_photos(folder, split), limit)
    if not photos:
        raise UsageError(f"{table}: no face in split {split}. Name another --split, or prepare the set again.")
    # Only readable photos become donors; others are reported when reached.
    donors = [photo for photo in photos if cv2.haveImageReader(str(photo.path))]
    if not donors:
        raise UnreadableInputError(f"{photos[0].path}: cannot be read, nor can any other photo of split {split}.")
    forgers = tuple(forgers_by_type(donors).items())
    names = tuple(name for name, _ in forgers)
    return FaceSet(folder, split, sha256_of(table), names, SyntheticPairs(photos, forgers, crop_config, seed))


def spread(items: Sequence[Item], limit: int | None) -> list[Item]:
    """Returns ``limit`` items, evenly over a list that is sorted by where they come from."""
    count = min(limit or len(items), len(items))
    return [items[place] for place in np.linspace(0, len(items) - 1, count).round().astype(int)]


def _video(row: FaceRow) -> Video:
    rivals = f"{row.source}/{row.compression}"
    forged = row.label == "fake"
    original = f"{rivals}/{row.method}/{row.video}/{row.label}"
    return Video(forged, row.source, row.method, row.compression, row.video, rivals, original)


def _perturbed(crop: Image, perturbation: Perturbation, seed: tuple[int, int]) -> Image:
    bgr = as_image(cv2.cvtColor(crop, cv2.COLOR_RGB2BGR))
    changed = perturbation.apply(bgr, np.random.default_rng(seed))
    return as_image(cv2.cvtColor(changed, cv2.COLOR_BGR2RGB))


def _read(path: Path) -> Image:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise UnreadableInputError(f"{path}: {'cannot be read as an image' if path.exists() else 'is missing'}.")
    return as_image(image)
