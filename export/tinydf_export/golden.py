"""Golden crops: a few pictures that travel inside a model file, with the probabilities that it must give for them."""

from __future__ import annotations

import base64
import hashlib
import json

import cv2
import numpy as np
from numpy.typing import NDArray

from tinydf_runtime.crop import CropRecipe, crop_face
from tinydf_runtime.errors import ModelFileError
from tinydf_runtime.spec import ModelSpec
from tinydf_runtime.types import BoxXYXY, Image

# scikit-image's astronaut (NASA, public domain): Eileen Collins's face, and a stretch of suit beside it.
FACE_XYXY: BoxXYXY = (179, 68, 270, 181)
LANDMARKS = ((203, 101), (246, 103), (226, 126), (205, 140), (243, 140))
SUIT_XYXY: BoxXYXY = (10, 390, 120, 500)
SEED = 3


def draw_golden_crops(recipe: CropRecipe) -> NDArray[np.uint8]:
    """Draws the crops: a face, the same mirrored and dim, forged from itself, from a tiny picture, and no face at all.

    Args:
        recipe: How they are cut.

    Returns:
        5 x side_px x side_px x 3, RGB, uint8.
    """
    # Drawing needs the training core and scikit-image; replaying stored crops does not.
    from skimage.data import astronaut

    from tinydf.data.families.self_blend import self_blend

    photo: Image = np.ascontiguousarray(astronaut())  # type: ignore[no-untyped-call]
    face = crop_face(photo, FACE_XYXY, recipe)
    forged, _ = self_blend(photo[..., ::-1].copy(), np.array(LANDMARKS, float), np.random.default_rng(SEED), ease=1.0)
    tiny = cv2.resize(cv2.resize(face, (48, 48), interpolation=cv2.INTER_AREA), face.shape[1::-1])
    return np.stack(
        [
            face,
            np.ascontiguousarray(face[:, ::-1] // 2),
            np.ascontiguousarray(crop_face(forged, FACE_XYXY, recipe)[..., ::-1]),
            tiny,
            crop_face(photo, SUIT_XYXY, recipe),
        ]
    )


def encode_crops(crops: NDArray[np.uint8]) -> tuple[str, str]:
    """Packs crops for a model's metadata.

    Args:
        crops: N x S x S x 3, RGB, uint8.

    Returns:
        JSON list of base64 WebP files, and the SHA-256 over these files.
    """
    # OpenCV takes BGR and writes files that every reader shows in true colours. A quality above 100 means lossless,
    # and takes 60 % of what PNG does: golden crops are the largest part of an INT8 file beside its weights.
    pictures = [cv2.imencode(".webp", crop[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, 101])[1].tobytes() for crop in crops]
    return json.dumps([base64.b64encode(picture).decode() for picture in pictures]), _hash(pictures)


def decode_crops(text: str, spec: ModelSpec, source: str) -> NDArray[np.uint8]:
    """Unpacks what ``encode_crops`` packed.

    Args:
        text: The JSON list.
        spec: The model's spec, which holds the hash and one probability a crop.
        source: The model's file name, for the error message.

    Returns:
        N x S x S x 3, RGB, uint8.

    Raises:
        ModelFileError: The crops are damaged or not those that the spec speaks of.
    """
    side_px = spec.crop.side_px
    try:
        pictures = [base64.b64decode(item, validate=True) for item in json.loads(text)]
    except (ValueError, TypeError) as error:
        raise ModelFileError(f"{source}: its golden crops cannot be read ({error}). Export the model again.") from error
    if _hash(pictures) != spec.golden_sha256 or not pictures or len(pictures) != len(spec.golden_probability):
        raise ModelFileError(f"{source}: its golden crops are not those it was exported with. Export the model again.")
    crops = [_decode(picture) for picture in pictures]
    if any(crop.shape != (side_px, side_px, 3) for crop in crops):
        raise ModelFileError(f"{source}: its golden crops are not {side_px} px pictures. Export the model again.")
    return np.stack(crops)


def _decode(stored: bytes) -> Image:
    """Returns the picture as RGB; one without pixels where it cannot be read."""
    picture = cv2.imdecode(np.frombuffer(stored, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        return np.empty((0, 0, 3), np.uint8)
    return np.ascontiguousarray(picture[..., ::-1], np.uint8)


def _hash(pictures: list[bytes]) -> str:
    return hashlib.sha256(b"".join(pictures)).hexdigest()
