"""A set's mask video -> the share of each face that was altered; not every face of a forged video is."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from tinydf_runtime.io.video import VideoReader
from tinydf_runtime.types import BoxXYXY, Frame

FORGED_SHARE = 0.1
"""Share of a face's box that masks must cover on average. A swapped face has a third and more, its neighbour
nothing."""
BRIGHT = 127
"""Grey level above which a mask's pixel means altered; compression blurs the edge between 0 and 255."""


class MaskVideo:
    """Frames of a video of masks, in step with the frames of the video that they belong to; one in memory."""

    def __init__(self, path: Path) -> None:
        """Opens it.

        Raises:
            UnreadableInputError: It cannot be read.
        """
        self._reader = VideoReader(path)
        self._frames = iter(self._reader)
        self._mask: Frame | None = None

    def __enter__(self) -> MaskVideo:
        return self

    def __exit__(self, *exception: object) -> None:
        self._reader.close()

    def forged_share(self, frame: Frame, box_xyxy: BoxXYXY) -> float | None:
        """Returns the share of a box that was altered, 0..1; None where the masks end before the frame.

        Args:
            frame: Of the video; later than that of the last call, or the same.
            box_xyxy: In its pixels.
        """
        while self._mask is None or self._mask.index < frame.index:
            self._mask = next(self._frames, None)
            if self._mask is None:
                return None
        height, width = self._mask.image.shape[:2]
        scale = np.array([width / frame.image.shape[1], height / frame.image.shape[0]] * 2)
        left, top, right, bottom = np.round(np.array(box_xyxy) * scale).astype(int)
        covered = cv2.cvtColor(self._mask.image, cv2.COLOR_BGR2GRAY)[max(0, top) : bottom, max(0, left) : right]
        return float((covered > BRIGHT).mean()) if covered.size else None
