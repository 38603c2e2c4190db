"""Scores of a track -> its interpolated box, score and forgery map at any time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinydf_runtime.render.draw import DrawnFace, Zones
from tinydf_runtime.results import TrackReport

LONGEST_GAP_S = 1.0
"""A face missed for longer than this is not drawn, since its position is unknown."""


@dataclass(frozen=True, slots=True)
class Trail:
    """Boxes and scores of a track at its scored times.

    Attributes:
        track: Its id.
        time_s: N, in seconds, rising.
        boxes: N x 4, xyxy in pixels.
        probability: N, 0..1.
        zones: The zones of the scores.
        maps: N x h x w, 0..1, or None where they were not kept, or the person was judged real.
    """

    track: int
    time_s: NDArray[np.float64]
    boxes: NDArray[np.float64]
    probability: NDArray[np.float64]
    zones: Zones
    maps: NDArray[np.float32] | None

    @classmethod
    def of_track(cls, track: TrackReport, zones: Zones) -> Trail:
        """Returns a track's trail."""
        maps = [score.forgery_map for score in track.scores]
        kept = [item.astype(np.float32) / 255 for item in maps if item is not None]
        return cls(
            track.id,
            np.array([score.time_s for score in track.scores]),
            np.array([score.box_xyxy for score in track.scores]),
            np.array([score.fake_probability for score in track.scores]),
            zones,
            np.stack(kept) if len(kept) == len(maps) and track.verdict != "real" else None,
        )

    def held_to(self, end_s: float, hold_s: float) -> Trail:
        """Returns the trail with its last box repeated at the video's end, if no further frame was scored before it."""
        if not 0 < end_s - self.time_s[-1] <= 2 * hold_s:
            return self
        return Trail(
            self.track,
            np.append(self.time_s, end_s),
            np.concatenate([self.boxes, self.boxes[-1:]]),
            np.concatenate([self.probability, self.probability[-1:]]),
            self.zones,
            None if self.maps is None else np.concatenate([self.maps, self.maps[-1:]]),
        )

    def at(self, time_s: float, hold_s: float) -> DrawnFace | None:
        """Returns the face interpolated between its two nearest scored frames, None if it was absent.

        Args:
            time_s: When.
            hold_s: How long the face stays before the first and after the last scored frame.
        """
        after = int(np.searchsorted(self.time_s, time_s))
        first, last = max(after - 1, 0), min(after, len(self.time_s) - 1)
        if first == last or self.time_s[last] - self.time_s[first] > max(LONGEST_GAP_S, 2.1 * hold_s):
            first = last = min((first, last), key=lambda i: abs(float(self.time_s[i]) - time_s))
            if abs(float(self.time_s[first]) - time_s) > hold_s:
                return None
        gap = float(self.time_s[last] - self.time_s[first])
        share = (time_s - float(self.time_s[first])) / gap if gap else 0.0

        def between(values: NDArray[np.float64]) -> NDArray[np.float64]:
            mixed: NDArray[np.float64] = values[first] + (values[last] - values[first]) * share
            return mixed

        left, top, right, bottom = (float(value) for value in between(self.boxes))
        probability = float(between(self.probability))
        side = self.zones.side(probability)
        mixed_map = None
        if self.maps is not None and side != "real":
            mixed_map = self.maps[first] + (self.maps[last] - self.maps[first]) * np.float32(share)
        return DrawnFace(self.track, (left, top, right, bottom), probability, side, mixed_map)
