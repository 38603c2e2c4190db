"""Faces of one frame + open tracks -> tracks.

Two stages as in ByteTrack (Zhang et al., ECCV 2022): strong detections choose first, weak ones may only continue a
track that was just seen. Since frames can lie .2 s apart, boxes of one face need not overlap: distance and embedding
count as well. A person who was away longer, or comes back after a cut, is looked up in the gallery.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tinydf_runtime.errors import UsageError
from tinydf_runtime.faces.appearance import embed_face
from tinydf_runtime.faces.matching import match_pairs, overlap_iou
from tinydf_runtime.faces.reid import Gallery, Sighting, best_similarities
from tinydf_runtime.faces.scene import FrameSignature, find_view, frame_signature, is_other_scene, is_scene_cut
from tinydf_runtime.types import Face, Frame

__all__ = ["FaceTracker", "is_scene_cut"]

CERTAIN_SCORE = 0.85
"""Median detection score that a track needs, unless the detector's file names another. The classifier's score is
meaningless on false detections. ``scripts/choose_certain_score.py`` measures what separates faces from patterns."""

_SMALLEST_STEP_S = 1e-3

# How far a face may be from where it was expected, in face sizes: jitter, what a walking person covers a second close
# to the camera, and a bound beyond which it is anyone's guess.
_REACH_AT_ONCE, _REACH_PER_S, _LARGEST_REACH = 0.6, 7.0, 2.5
_SMALLEST_SIZE_RATIO = 0.5

# Similarity that boxes need to be joined if they do not even touch, or were not found in between; and below which
# touching ones are two people's.
_ALIKE, _UNLIKE = -0.4, -1.6
_SIMILARITY_WEIGHT, _LARGEST_SIMILARITY = 1.0, 1.5

_MOST_VIEWS = 32

# Time constant of speed in predictions: a person out of view does not keep moving.
_SPEED_FADES_S = 1.0


@dataclass(frozen=True, slots=True)
class _OpenTrack:
    """An open track.

    Attributes:
        track: Its id.
        box: 4, float64, xyxy where it was last seen.
        speed: 2, float64, pixels a second of the box's centre.
        seen_s: When it was last seen.
        steps: Times it was seen.
        missed: Frames since then in which it was not found.
    """

    track: int
    box: NDArray[np.float64]
    speed: NDArray[np.float64]
    seen_s: float
    steps: int = 1
    missed: int = 0


class FaceTracker:
    """Gives the same number to the same face from frame to frame. One tracker follows one video, from one thread.

    What it holds is bounded: the faces of the last second, some dozens of people's embeddings and as many views of the
    camera.
    """

    def __init__(self, strong_score: float = 0.5, max_gap_s: float = 1.0) -> None:
        """Begins without tracks.

        Args:
            strong_score: Detection score that a new track needs, 0..1. Weaker faces only continue one.
            max_gap_s: A face that was missed for longer than this gets its number back only if its embedding is clearly
                the same, wherever it is.

        Raises:
            UsageError: ``max_gap_s`` is negative.
        """
        if max_gap_s < 0:
            raise UsageError(f"max_gap_s: found {max_gap_s}, expected 0 or more.")
        self._strong_score = strong_score
        self._max_gap_s = max_gap_s
        self._open: list[_OpenTrack] = []
        self._next_track = 1
        self._gallery = Gallery()
        self._scene: FrameSignature | None = None
        self._views: list[FrameSignature] = []
        self._view = 0

    def update(self, frame: Frame, faces: list[Face]) -> list[tuple[int, Face]]:
        """Takes the next frame's faces.

        Args:
            frame: Later than the one before. A scene cut before it closes all tracks.
            faces: Its faces, in any order.

        Returns:
            Track number, from 1, and face, in the order of ``faces``; weak faces that continue no track are left out.
        """
        self._enter(frame_signature(frame.image))
        self._open = [
            track for track in self._open if not track.missed or frame.time_s - track.seen_s <= self._max_gap_s
        ]
        sightings = [
            Sighting(embed_face(frame.image, face), np.array(face.box_xyxy, np.float64), self._view, frame.time_s)
            for face in faces
        ]
        strong = [row for row, face in enumerate(faces) if face.score >= self._strong_score]
        weak = [row for row, face in enumerate(faces) if face.score < self._strong_score]

        matched = self._match(self._open, strong, sightings, reach_share=1.0)
        continued = set(matched.values())
        just_seen = [track for track in self._open if not track.missed and track.track not in continued]
        matched |= self._match(just_seen, weak, sightings, reach_share=0.5)
        new = [row for row in strong if row not in matched]
        back = self._gallery.recognise([sightings[row] for row in new], set(matched.values()))
        for place, row in enumerate(new):
            matched[row] = back.get(place, self._next_track)
            self._next_track += place not in back

        before = {track.track: track for track in self._open}
        seen = {track: _step(before.get(track), track, sightings[row]) for row, track in matched.items()}
        missed = [replace(track, missed=track.missed + 1) for track in self._open if track.track not in seen]
        self._open = [*seen.values(), *missed]
        alone = _are_alone(sightings)
        for row, track in matched.items():
            self._gallery.remember(track, sightings[row], bool(alone[row]) and faces[row].score >= self._strong_score)
        return [(matched[row], face) for row, face in enumerate(faces) if row in matched]

    def _enter(self, scene: FrameSignature) -> None:
        """Closes the tracks at a cut, and finds out whether the camera was here before."""
        if self._scene is None or is_other_scene(self._scene, scene):
            if self._scene is not None:
                self._open = []
                self._views[self._view] = self._scene
            known = find_view(self._views, scene)
            self._view = len(self._views) if known is None else known
            if known is None and len(self._views) == _MOST_VIEWS:
                # The view's number is reused; the embedding still has to match.
                self._view = 0
                self._views[0] = scene
            elif known is None:
                self._views.append(scene)
        self._scene = scene

    def _match(
        self, tracks: list[_OpenTrack], rows: list[int], sightings: list[Sighting], reach_share: float
    ) -> dict[int, int]:
        """Returns face number -> track number for the best pairing of some tracks with some faces."""
        if not tracks or not rows:
            return {}
        time_s = sightings[0].time_s
        boxes = np.array([sightings[row].box for row in rows])
        expected = np.array([_expected_box(track, time_s) for track in tracks])
        elapsed_s = time_s - np.array([track.seen_s for track in tracks])[:, None]
        reach = reach_share * np.minimum(_REACH_AT_ONCE + _REACH_PER_S * np.clip(elapsed_s, 0, None), _LARGEST_REACH)
        sizes, expected_sizes = _sizes(boxes)[None, :], _sizes(expected)[:, None]
        apart = np.linalg.norm(_centres(expected)[:, None] - _centres(boxes)[None], axis=2)
        apart /= (sizes + expected_sizes) / 2
        size_ratio = np.minimum(sizes, expected_sizes) / np.maximum(sizes, expected_sizes)
        iou = overlap_iou(expected, boxes)
        similarity = best_similarities(
            [self._gallery.embeddings(track.track) for track in tracks], [sightings[row].embedding for row in rows]
        )
        # A face appearing where another track just was is matched by embedding only; without one, by position.
        needed = np.where(iou > 0, _UNLIKE, _ALIKE)
        # Beside another face an embedding is not the person's own.
        missed = np.array([track.missed > 0 for track in tracks])
        needed[missed[:, None] & _are_alone(sightings)[rows][None, :]] = _ALIKE
        joined = np.isnan(similarity) | (similarity >= needed)
        similarity = np.where(np.isnan(similarity), _ALIKE, similarity).clip(_UNLIKE, _LARGEST_SIMILARITY)
        possible = (apart < reach) & (size_ratio >= _SMALLEST_SIZE_RATIO) & joined
        gain = iou + (1 - apart / reach) * size_ratio + _SIMILARITY_WEIGHT * (similarity - _UNLIKE)
        pairs = match_pairs(np.where(possible, gain, 0.0))
        return {rows[column]: tracks[row].track for row, column in pairs}


def _step(before: _OpenTrack | None, track: int, sighting: Sighting) -> _OpenTrack:
    """Returns a track after one more sighting of its face, or a new one."""
    if before is None:
        return _OpenTrack(track, sighting.box, np.zeros(2), sighting.time_s)
    elapsed_s = max(sighting.time_s - before.seen_s, _SMALLEST_STEP_S)
    speed = (_centres(sighting.box[None]) - _centres(before.box[None]))[0] / elapsed_s
    if before.steps > 1:
        speed = (speed + before.speed) / 2
    return _OpenTrack(track, sighting.box, speed, sighting.time_s, before.steps + 1)


def _expected_box(track: _OpenTrack, time_s: float) -> NDArray[np.float64]:
    """Returns the box, 4 float64, at which a track's face is expected if it keeps its speed for a while."""
    elapsed_s = max(time_s - track.seen_s, 0.0)
    moved = track.speed * _SPEED_FADES_S * (1 - math.exp(-elapsed_s / _SPEED_FADES_S))
    return track.box + np.tile(moved, 2)


def _are_alone(sightings: list[Sighting]) -> NDArray[np.bool_]:
    """Returns, for each face, whether no other one touches it."""
    if not sightings:
        return np.zeros(0, bool)
    boxes = np.array([sighting.box for sighting in sightings])
    return np.asarray((overlap_iou(boxes, boxes) > 0).sum(axis=1) <= 1)


def _centres(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the centres, N x 2, of N x 4 boxes."""
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def _sizes(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the side of a square of the same area for each of N boxes, at least 1 px."""
    sides = np.clip(boxes[:, 2:] - boxes[:, :2], 1, None)
    return np.sqrt(sides[:, 0] * sides[:, 1])
