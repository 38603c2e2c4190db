"""Golden crops: pictures inside a model file -> the probabilities that a loaded engine gives for them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from tinydf_runtime.engines.engine import FileEngine
from tinydf_runtime.errors import ModelFileError
from tinydf_runtime.models.spec import MOST_GOLDEN, ModelSpec, Precision
from tinydf_runtime.trust import strict
from tinydf_runtime.trust.reading import MOST_TEXT_BYTES
from tinydf_runtime.types import Image

TOLERANCE: dict[Precision, float] = {"fp32": 1e-4, "fp16": 0.01, "w8": 0.05, "int8": 0.1}
"""Largest difference in probability from the checkpoint on a golden crop, by precision: no export shows more."""


def replay_golden(engine: FileEngine, source: str) -> NDArray[np.float32]:
    """Returns N, float32: the fake probability, 0..1, that an engine gives for each crop stored with its model.

    Args:
        engine: The loaded model.
        source: Its file name, for the error message.

    Raises:
        ModelFileError: It holds no golden crops, or damaged ones.
    """
    if engine.golden_text is None or engine.spec.precision not in TOLERANCE:
        raise ModelFileError(
            f"{source}: no golden crops for precision {engine.spec.precision} found. Export the model again."
        )
    return engine.score(decode_crops(engine.golden_text, engine.spec, source)).fake_probability


def decode_crops(text: str, spec: ModelSpec, source: str) -> NDArray[np.uint8]:
    """Unpacks the crops of a model's metadata.

    Args:
        text: JSON list of base64 WebP files.
        spec: The model's spec, which holds the hash and one probability a crop.
        source: The model's file name, for the error message.

    Returns:
        N x S x S x 3, RGB, uint8.

    Raises:
        ModelFileError: The crops are damaged or not those that the spec speaks of.
    """
    side_px = spec.crop.side_px
    try:
        items = strict.rows(strict.parse(text, MOST_TEXT_BYTES), MOST_GOLDEN)
        pictures = [base64.b64decode(strict.text(item, MOST_TEXT_BYTES), validate=True) for item in items]
    except ValueError as error:
        raise ModelFileError(f"{source}: its golden crops cannot be read ({error}). Export the model again.") from error
    if hash_pictures(pictures) != spec.golden_sha256 or not pictures or len(pictures) != len(spec.golden_probability):
        raise ModelFileError(f"{source}: its golden crops are not those it was exported with. Export the model again.")
    crops = [_decode(picture, side_px) for picture in pictures]
    if any(crop.shape != (side_px, side_px, 3) for crop in crops):
        raise ModelFileError(f"{source}: its golden crops are not {side_px} px pictures. Export the model again.")
    return np.stack(crops)


def _decode(stored: bytes, side_px: int) -> Image:
    """Returns the picture as RGB; one without pixels where it is no square WebP of this side, or cannot be read."""
    if _webp_size(stored) != (side_px, side_px):
        return np.empty((0, 0, 3), np.uint8)
    picture = cv2.imdecode(np.frombuffer(stored, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        return np.empty((0, 0, 3), np.uint8)
    return np.ascontiguousarray(picture[..., ::-1], np.uint8)


def _webp_size(stored: bytes) -> tuple[int, int] | None:
    """Returns width and height as a WebP file without loss names them first (RFC 9649, 3.4); None for another file.

    Read before decoding: a hundred bytes can expand to a gigabyte.
    """
    if stored[:4] != b"RIFF" or stored[8:16] != b"WEBPVP8L" or stored[20:21] != b"\x2f" or len(stored) < 25:
        return None
    bits = int.from_bytes(stored[21:25], "little")
    return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1


def hash_pictures(pictures: Sequence[bytes]) -> str:
    """Returns the SHA-256 over encoded pictures as 64 hexadecimal digits."""
    return hashlib.sha256(b"".join(pictures)).hexdigest()
