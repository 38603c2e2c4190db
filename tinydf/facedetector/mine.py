"""Hard negatives: a detector and pictures with known faces -> the places that it mistakes for faces."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import cv2
import numpy as np
import torch

from tinydf.facedetector.assign import APART_IOU
from tinydf.facedetector.model import FaceDetectorNet
from tinydf.facedetector.photos import Photo
from tinydf.facedetector.validate import boxes_from
from tinydf_runtime.faces.matching import overlap_iou
from tinydf_runtime.io.files import write_atomically

MINED_SCORE = 0.35
# By turns: small ones show what is mistaken as a whole, large ones what is in its details.
SIDES_PX = (320, 480)
CELL_PX = 32


@torch.no_grad()
def mistakes(network: FaceDetectorNet, photos: Iterable[Photo]) -> dict[str, list[list[float]]]:
    """Returns by photo name the boxes (x, y, width, height, pixels of the photo) that lie on no face and no doubt.

    Photos without any are left out. The network is left in evaluation mode.
    """
    network.eval()
    device = next(network.parameters()).device
    found: dict[str, list[list[float]]] = {}
    for photo, side_px in zip(photos, cycle(SIDES_PX), strict=False):
        known = np.concatenate((photo.faces[:, :4], photo.doubtful)).astype(np.float64)
        known[:, 2:] += known[:, :2]
        scale = side_px / max(photo.width, photo.height)
        size = (round(photo.width * scale), round(photo.height * scale))
        canvas = np.zeros((*(-(-length // CELL_PX) * CELL_PX for length in size[::-1]), 3), np.uint8)
        canvas[: size[1], : size[0]] = cv2.resize(photo.decode(), size, interpolation=cv2.INTER_LINEAR)
        image = torch.from_numpy(canvas).to(device).permute(2, 0, 1)[None].float()
        boxes = boxes_from(network(image), MINED_SCORE)[0] / scale
        apart = overlap_iou(boxes, known).max(1, initial=0.0) < APART_IOU
        boxes[:, 2:] -= boxes[:, :2]
        if apart.any():
            found[photo.name] = boxes[apart].round(1).tolist()
    return found


def with_mistakes(photos: list[Photo], found: dict[str, list[list[float]]]) -> list[Photo]:
    """Returns the photos with the boxes that ``mistakes`` found added to ``Photo.mistaken``."""
    return [
        replace(photo, mistaken=np.concatenate((photo.mistaken, np.array(found[photo.name], np.float32))))
        if photo.name in found
        else photo
        for photo in photos
    ]


def mistakes_kept(network: FaceDetectorNet, photos: list[Photo], kept: Path) -> dict[str, list[list[float]]]:
    """Returns ``mistakes``, kept in a JSON file: a resumed run learns from the same ones.

    Raises:
        OutputError: The file could not be written.
    """
    if not kept.is_file():
        write_atomically(kept, json.dumps(mistakes(network, photos)).encode())
    found: dict[str, list[list[float]]] = json.loads(kept.read_text(encoding="utf-8"))
    return found
