"""The table of prepared faces, ``faces.parquet``: one row a stored face, read and written here alone.

Each row names a lossless picture that was cut out of a photo or a video's frame without resampling, with room around
the face: ``crop_face`` gives from it the very pixels that it gives from the frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TypeAlias

import pyarrow as pa
from pyarrow import parquet

from tinydf_runtime.errors import UnreadableInputError
from tinydf_runtime.io.files import write_atomically

PARQUET_NAME = "faces.parquet"
ROWS_AT_ONCE = 4096
Label: TypeAlias = Literal["real", "fake"]
Split: TypeAlias = Literal["train", "val", "test"]


@dataclass(frozen=True, slots=True)
class FaceRow:
    """A row of the table.

    Attributes:
        file: The picture, relative to the table's folder, with forward slashes.
        label: ``real`` or ``fake``.
        source: The set that it comes from, such as ``ff++``; never a label.
        method: How it was forged, as the set's owners call it; ``real`` for real ones.
        compression: As the set's owners call it, such as ``c23``; empty where there is but one.
        split: ``train``, ``val`` or ``test``.
        video: Name of the video or photo, unique within source, method and compression.
        identities: Whose faces went into it: no identity is in two splits.
        frame: Index of the frame in the video; 0 for a photo.
        time_s: Its time in seconds.
        track: The person in the video that the face belongs to; 0 for a photo.
        box_xyxy: Left, top, right, bottom in pixels of the picture.
        landmarks: Right eye, left eye, nose tip, right and left mouth corner: 10 numbers in pixels of the
            picture.
        detection_score: 0..1.
        sharpness: Variance of the Laplacian of the 224 px crop's luma (Pech-Pacheco et al., ICPR 2000).
        sha256: Of the video or photo that the face was cut from.
    """

    file: str
    label: Label
    source: str
    method: str
    compression: str
    split: Split
    video: str
    identities: tuple[str, ...]
    frame: int
    time_s: float
    track: int
    box_xyxy: tuple[float, ...]
    landmarks: tuple[float, ...]
    detection_score: float
    sharpness: float
    sha256: str


SCHEMA = pa.schema(
    [
        ("file", pa.string()),
        ("label", pa.string()),
        ("source", pa.string()),
        ("method", pa.string()),
        ("compression", pa.string()),
        ("split", pa.string()),
        ("video", pa.string()),
        ("identities", pa.list_(pa.string())),
        ("frame", pa.int32()),
        ("time_s", pa.float64()),
        ("track", pa.int32()),
        ("box_xyxy", pa.list_(pa.float32())),
        ("landmarks", pa.list_(pa.float32())),
        ("detection_score", pa.float32()),
        ("sharpness", pa.float32()),
        ("sha256", pa.string()),
    ]
)


def write_table(rows: Iterable[FaceRow], folder: Path) -> Path:
    """Writes ``faces.parquet`` whole or not at all, a few thousand rows in memory at a time.

    Raises:
        OutputError: The file cannot be written.
    """

    def write(file: Any) -> None:
        with parquet.ParquetWriter(file, SCHEMA, compression="zstd") as writer:
            remaining = iter(rows)
            while part := list(islice(remaining, ROWS_AT_ONCE)):
                writer.write_table(pa.Table.from_pylist([asdict(row) for row in part], SCHEMA))

    path = folder / PARQUET_NAME
    write_atomically(path, write)
    return path


def read_table(folder: Path) -> Iterator[FaceRow]:
    """Reads ``faces.parquet`` row by row.

    Raises:
        UnreadableInputError: The file is missing, damaged or lacks a column.
    """
    path = folder / PARQUET_NAME
    try:
        with parquet.ParquetFile(path) as table:
            missing = [name for name in SCHEMA.names if name not in table.schema_arrow.names]
            if missing:
                raise UnreadableInputError(f"{path}: no column {', '.join(missing)}. Prepare the faces again.")
            for part in table.iter_batches(ROWS_AT_ONCE, columns=SCHEMA.names):
                for row in part.to_pylist():
                    yield FaceRow(**row | {name: tuple(row[name]) for name in ("identities", "box_xyxy", "landmarks")})
    except (OSError, pa.ArrowException) as error:
        raise UnreadableInputError(f"{path}: cannot be read ({error}). Prepare the faces again.") from error
