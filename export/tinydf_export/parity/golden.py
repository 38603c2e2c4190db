"""Golden crops: a few crops stored in each model file with the probabilities that it must give for them."""

from __future__ import annotations

import base64
import json

import cv2
import numpy as np
from numpy.typing import NDArray

from tinydf_runtime.engines.golden import decode_crops as decode_crops
from tinydf_runtime.engines.golden import hash_pictures
from tinydf_runtime.faces.crop import CropConfig, crop_face
from tinydf_runtime.types import BoxXYXY, Image

# scikit-image's astronaut (NASA, public domain): Eileen Collins's face, and a part of the suit beside it.
FACE_XYXY: BoxXYXY = (179, 68, 270, 181)
LANDMARKS = ((203, 101), (246, 103), (226, 126), (205, 140), (243, 140))
SUIT_XYXY: BoxXYXY = (10, 390, 120, 500)
SEED = 3


def draw_golden_crops(crop_config: CropConfig) -> NDArray[np.uint8]:
    """Draws the crops: a face, the same mirrored and dim, forged from itself, from a tiny picture, and no face at all.

    Args:
        crop_config: How they are cut.

    Returns:
        5 x side_px x side_px x 3, RGB, uint8.
    """
    # Drawing needs the training core and scikit-image; replaying stored crops does not.
    from skimage.data import astronaut

    from tinydf.data.forgery_types.self_blend import self_blend
    from tinydf.data.geometry import FaceGeometry

    photo: Image = np.ascontiguousarray(astronaut())  # type: ignore[no-untyped-call]
    face = crop_face(photo, FACE_XYXY, crop_config)
    face_shape = FaceGeometry(np.array(LANDMARKS, float))
    forged, _ = self_blend(photo[..., ::-1].copy(), face_shape, np.random.default_rng(SEED), coarseness=1.0)
    tiny = cv2.resize(cv2.resize(face, (48, 48), interpolation=cv2.INTER_AREA), face.shape[1::-1])
    return np.stack(
        [
            face,
            np.ascontiguousarray(face[:, ::-1] // 2),
            np.ascontiguousarray(crop_face(forged, FACE_XYXY, crop_config)[..., ::-1]),
            tiny,
            crop_face(photo, SUIT_XYXY, crop_config),
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
    return json.dumps([base64.b64encode(picture).decode() for picture in pictures]), hash_pictures(pictures)
