"""Faces of one frame + open tracks -> tracks.

Two stages as in ByteTrack (Zhang et al., ECCV 2022): strong detections choose first, weak ones may only continue a
track that was just seen. Since frames can lie .2 s apart, boxes of one face need not overlap: nearness and look count
as well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from tinydf_runtime.boxes import overlap_iou
from tinydf_runtime.errors import UsageError
from tinydf_runtime.matching import match_pairs
from tinydf_runtime.scene import SceneSketch, is_other_scene, is_scene_cut, sketch_scene
from tinydf_runtime.types import Face, Frame, Image

__all__ = ["FaceTracker", "is_scene_cut"]

_LOOK_SIDE_PX = 8
_SMALLEST_STEP_S = 1e-3

# How far a face may be from where it was expected, in face sizes: jitter, what a walking person covers a second close
# to the camera, and a bound beyond which it is anyone's guess.
_REACH_AT_ONCE, _REACH_PER_S, _LARGEST_REACH = 0.6, 7.0, 2.5
_SMALLEST_SIZE_RATIO = 0.5

# Mean difference of two looks, 0..1. Boxes that do not even touch are joined only when they look alike.
_ALIKE = 0.2
_LOOK_WEIGHT = 0.5

# Speed fades from a prediction over this time: who left the picture's view did not fly on.
_SPEED_FADES_S = 1.0


@dataclass(frozen=True, slots=True)
class _OpenTrack:
    """A face that may come again.

    Attributes:
        track: Its id.
        box: 4, float64, xyxy where it was last seen.
        speed: 2, float64, pixels a second of the box's centre.
        look: 8 x 8 x 3, float64, 0..1; None where the box lay outside the image.
        seen_s: When it was last seen.
        steps: Times it was seen.
        missed: Frames since then in which it was not found.
    """

    track: int
    box: NDArray[np.float64]
    speed: NDArray[np.float64]
    look: NDArray[np.float64] | None
    seen_s: float
    steps: int = 1
    missed: int = 0


class FaceTracker:
    """Gives the same number to the same face from frame to frame. One tracker follows one video, from one thread.

    What it holds grows with the faces of the last second, never with the video.
    """

    def __init__(self, strong_score: float = 0.5, max_gap_s: float = 1.0) -> None:
        """Begins without tracks.

        Args:
            strong_score: Detection score that a new track needs, 0..1. Weaker faces only continue one.
            max_gap_s: A face that was missed for longer than this comes back under a new number.

        Raises:
            UsageError: ``max_gap_s`` is negative.
        """
        if max_gap_s < 0:
            raise UsageError(f"max_gap_s: found {max_gap_s}, expected 0 or more.")
        self._strong_score = strong_score
        self._max_gap_s = max_gap_s
        self._open: list[_OpenTrack] = []
        self._next_track = 1
        self._scene: SceneSketch | None = None

    def update(self, frame: Frame, faces: list[Face]) -> list[tuple[int, Face]]:
        """Takes the next frame's faces.

        Args:
            frame: Later than the one before. A scene cut before it closes all tracks.
            faces: Its faces, in any order.

        Returns:
            Track number, from 1, and face, in the order of ``faces``; weak faces that continue no track are left out.
        """
        scene = sketch_scene(frame.image)
        if self._scene is not None and is_other_scene(self._scene, scene):
            self._open = []
        self._scene = scene
        self._open = [
            track for track in self._open if not track.missed or frame.time_s - track.seen_s <= self._max_gap_s
        ]
        looks = [_look(frame.image, face) for face in faces]
        strong = [row for row, face in enumerate(faces) if face.score >= self._strong_score]
        weak = [row for row, face in enumerate(faces) if face.score < self._strong_score]

        matched = self._match(self._open, strong, faces, looks, frame.time_s, reach_share=1.0)
        continued = set(matched.values())
        just_seen = [track for track in self._open if not track.missed and track.track not in continued]
        matched |= self._match(just_seen, weak, faces, looks, frame.time_s, reach_share=0.5)
        for row in strong:
            if row not in matched:
                matched[row] = self._next_track
                self._next_track += 1

        before = {track.track: track for track in self._open}
        seen = {
            track: _step(before.get(track), track, faces[row], looks[row], frame.time_s)
            for row, track in matched.items()
        }
        missed = [replace(track, missed=track.missed + 1) for track in self._open if track.track not in seen]
        self._open = [*seen.values(), *missed]
        return [(matched[row], face) for row, face in enumerate(faces) if row in matched]

    def _match(
        self,
        tracks: list[_OpenTrack],
        rows: list[int],
        faces: list[Face],
        looks: list[NDArray[np.float64] | None],
        time_s: float,
        reach_share: float,
    ) -> dict[int, int]:
        """Returns face number -> track number for the best pairing of some tracks with some faces."""
        if not tracks or not rows:
            return {}
        boxes = np.array([faces[row].box_xyxy for row in rows], np.float64)
        expected = np.array([_expected_box(track, time_s) for track in tracks])
        elapsed_s = time_s - np.array([track.seen_s for track in tracks])[:, None]
        reach = reach_share * np.minimum(_REACH_AT_ONCE + _REACH_PER_S * np.clip(elapsed_s, 0, None), _LARGEST_REACH)
        sizes, expected_sizes = _sizes(boxes)[None, :], _sizes(expected)[:, None]
        apart = np.linalg.norm(_centres(expected)[:, None] - _centres(boxes)[None], axis=2)
        apart /= (sizes + expected_sizes) / 2
        size_ratio = np.minimum(sizes, expected_sizes) / np.maximum(sizes, expected_sizes)
        iou = overlap_iou(expected, boxes)
        unlike = np.array([[_difference(track.look, looks[row]) for row in rows] for track in tracks])
        possible = (apart < reach) & (size_ratio >= _SMALLEST_SIZE_RATIO) & ((iou > 0) | (unlike < _ALIKE))
        gain = iou + (1 - apart / reach) * size_ratio + _LOOK_WEIGHT * (1 - unlike)
        pairs = match_pairs(np.where(possible, gain, 0.0))
        return {rows[column]: tracks[row].track for row, column in pairs}


def _step(
    before: _OpenTrack | None, track: int, face: Face, look: NDArray[np.float64] | None, time_s: float
) -> _OpenTrack:
    """Returns a track after one more sight of its face, or a new one."""
    box = np.array(face.box_xyxy, np.float64)
    if before is None:
        return _OpenTrack(track, box, np.zeros(2), look, time_s)
    elapsed_s = max(time_s - before.seen_s, _SMALLEST_STEP_S)
    speed = (_centres(box[None]) - _centres(before.box[None]))[0] / elapsed_s
    if before.steps > 1:
        speed = (speed + before.speed) / 2
    if before.look is not None and look is not None:
        # Slowly, so that one frame with a hand or another face in front does not replace the look.
        look = 0.8 * before.look + 0.2 * look
    return _OpenTrack(track, box, speed, before.look if look is None else look, time_s, before.steps + 1)


def _expected_box(track: _OpenTrack, time_s: float) -> NDArray[np.float64]:
    """Returns the box, 4 float64, at which a track's face is expected if it keeps its speed for a while."""
    elapsed_s = max(time_s - track.seen_s, 0.0)
    moved = track.speed * _SPEED_FADES_S * (1 - math.exp(-elapsed_s / _SPEED_FADES_S))
    return track.box + np.tile(moved, 2)


def _look(image: Image, face: Face) -> NDArray[np.float64] | None:
    """Returns a face as 8 x 8 x 3 mean colours, 0..1; None where its box has no pixel inside the image."""
    height, width = image.shape[:2]
    left, top, right, bottom = (round(value) for value in face.box_xyxy)
    inside = image[max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)]
    if not inside.size:
        return None
    small = cv2.resize(inside, (_LOOK_SIDE_PX, _LOOK_SIDE_PX), interpolation=cv2.INTER_AREA)
    return small.astype(np.float64) / 255


def _difference(first: NDArray[np.float64] | None, second: NDArray[np.float64] | None) -> float:
    """Returns how unlike two looks are, 0..1; as unlike as may still be joined where one is unknown."""
    return _ALIKE if first is None or second is None else float(np.abs(first - second).mean())


def _centres(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the centres, N x 2, of N x 4 boxes."""
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def _sizes(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the side of a square of the same area for each of N boxes, at least 1 px."""
    sides = np.clip(boxes[:, 2:] - boxes[:, :2], 1, None)
    return np.sqrt(sides[:, 0] * sides[:, 1])
