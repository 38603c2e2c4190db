"""Scored faces of a video -> exemplars: the few crops of each person that are worth showing and scoring again.

Their number is bounded however long the video and however many people are in it: each person has a few places, and
when all are taken the least suspicious people are evicted first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from tinydf_runtime.results import FacePicture, WholeFrame
from tinydf_runtime.types import FaceScore, Image, SmallFrame, longer_side

WhyKept: TypeAlias = Literal["suspicious", "best", "spread"]
_Key: TypeAlias = Callable[[FaceScore], float]

SUSPICIOUS_PLACES = 4
BEST_PLACES = 2
SPREAD_PLACES = 6
SHOWN_SUSPICIOUS = 3
JPEG_QUALITY = 82
"""Of the pictures that are shown: some 10 kB each."""
TOTAL_PLACES = 96
"""Crops of all people together: some 14 MB, however long the video."""
APART_S = 1.0
"""Two suspicious or two good pictures lie at least this far apart: neighbouring frames show the same."""
FRAME_SIDE_PX = 640
"""Longer side at which a whole picture is kept: some 40 kB, one per person."""
FULL_SIDE_PX = 224.0
"""From this side on a face fills its crop without enlargement; larger ones score no better view."""


@dataclass(frozen=True, slots=True, eq=False)
class Exemplar:
    """A face that is kept, with the reason.

    Attributes:
        record: When and where it was, and its score.
        crop: side x side x 3, RGB, uint8, as the network saw it.
        forgery_map: h x w, uint8, 255 = 1.0, over the crop.
        why: What it was kept for: a high score, a good view, or to stand for its time.
    """

    record: FaceScore
    crop: Image
    forgery_map: NDArray[np.uint8]
    why: WhyKept


@dataclass(slots=True)
class _TrackExemplars:
    """The pictures of one track, by what they were kept for; ``stride`` is the step between offers that are spread."""

    suspicious: list[Exemplar] = field(default_factory=list)
    best: list[Exemplar] = field(default_factory=list)
    spread: list[Exemplar] = field(default_factory=list)
    offered: int = 0
    stride: int = 1

    def taken(self) -> int:
        """Returns how many places are taken; a picture that was kept for two things takes two."""
        return len(self.suspicious) + len(self.best) + len(self.spread)

    def drop_one(self) -> None:
        """Evicts the least valuable picture; a best and a suspicious one stay the longest."""
        for places, stay, key in (
            (self.spread, 0, _time_s),
            (self.best, 1, _view),
            (self.suspicious, 1, _suspicion),
            (self.best, 0, _view),
            (self.suspicious, 0, _suspicion),
        ):
            if len(places) > stay:
                places.remove(min(places, key=lambda picture: key(picture.record)))
                return


class Exemplars:
    """Keeps a bounded number of pictures of each track. Not for several threads at once."""

    def __init__(self) -> None:
        self._tracks: dict[int, _TrackExemplars] = {}
        self._peaks: dict[int, list[float]] = {}
        self._frames: dict[int, WholeFrame] = {}
        self._taken = 0
        self._floor = -1.0

    @property
    def tracks(self) -> tuple[int, ...]:
        """The tracks that have pictures, in the order in which they came."""
        return tuple(track for track, own in self._tracks.items() if own.taken())

    def pictures(self, track: int) -> tuple[Exemplar, ...]:
        """Returns a track's pictures in order of time, each once; none for a track that has none."""
        own = self._tracks.get(track, _TrackExemplars())
        # Reports only the first reason a picture was kept.
        kept = {p.record.frame: p for p in (*own.spread, *own.best, *own.suspicious)}
        return tuple(sorted(kept.values(), key=lambda picture: picture.record.frame))

    def finest(self) -> tuple[FacePicture, ...]:
        """Returns the few pictures of each track that are worth showing, the most suspicious first, as JPEG."""
        return tuple(picture for track in self.tracks for picture in _finest(track, self.pictures(track)))

    def whole_frame(self, track: int) -> WholeFrame | None:
        """Returns the picture in which a track's most suspicious face was seen, None where none was offered."""
        return self._frames.get(track)

    def offer(
        self,
        track: int,
        record: FaceScore,
        crop: Image,
        forgery_map: NDArray[np.float32] | NDArray[np.uint8],
        frame: SmallFrame | None = None,
    ) -> None:
        """Keeps a scored face if it is worth a place. Faces of a track come in order of time.

        Args:
            track: Whose face it is.
            record: When and where, with its score.
            crop: side x side x 3, RGB, uint8; copied if it is kept.
            forgery_map: h x w over the crop: 0..1, or 0..255 as uint8.
            frame: The whole picture; None where it is not to be shown.
        """
        peaks = self._peaks.setdefault(track, [])
        _raise_peaks(peaks, record.fake_probability)
        # A track no more suspicious than the last one evicted would be evicted immediately.
        if track not in self._tracks and sum(peaks) <= self._floor:
            return
        own = self._tracks.setdefault(track, _TrackExemplars())
        shown = self._frames.get(track)
        if frame is not None and (shown is None or record.fake_probability > shown.record.fake_probability):
            self._frames[track] = _keep_frame(track, record, frame)
        number, own.offered = own.offered, own.offered + 1
        for_spread = number % own.stride == 0
        for_best = _finds_place(own.best, record, BEST_PLACES, _view)
        for_suspicious = _finds_place(own.suspicious, record, SUSPICIOUS_PLACES, _suspicion)
        if not (for_spread or for_best or for_suspicious):
            return
        before = own.taken()
        own_crop, own_map = np.array(crop), as_bytes(forgery_map)
        if for_spread:
            own.spread.append(Exemplar(record, own_crop, own_map, "spread"))
            if len(own.spread) > SPREAD_PLACES:
                del own.spread[1::2]
                own.stride *= 2
        if for_best:
            _put(own.best, Exemplar(record, own_crop, own_map, "best"), BEST_PLACES, _view)
        if for_suspicious:
            picture = Exemplar(record, own_crop, own_map, "suspicious")
            _put(own.suspicious, picture, SUSPICIOUS_PLACES, _suspicion)
        self._taken += own.taken() - before
        while self._taken > TOTAL_PLACES:
            self._make_room()

    def _make_room(self) -> None:
        """Drops one picture of the least suspicious track."""
        least = min(self._tracks, key=lambda track: (sum(self._peaks[track]), -track))
        own = self._tracks[least]
        own.drop_one()
        self._taken -= 1
        if not own.taken():
            del self._tracks[least]
            self._frames.pop(least, None)
            self._floor = sum(self._peaks[least])


def shrink_frame(image: Image) -> SmallFrame:
    """Returns a copy of a picture, H x W x 3, BGR, uint8, small enough to wait until its faces are scored."""
    height, width = image.shape[:2]
    share = min(1.0, FRAME_SIDE_PX / max(height, width))
    size = (max(1, round(width * share)), max(1, round(height * share)))
    return SmallFrame(np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8), width, height)


def _keep_frame(track: int, record: FaceScore, frame: SmallFrame) -> WholeFrame:
    """Returns a picture as it is kept, with the face that it is kept for."""
    _, data = cv2.imencode(".jpg", frame.image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return WholeFrame(track, record, frame.width, frame.height, data.tobytes())


def _finest(track: int, pictures: Sequence[Exemplar]) -> Iterator[FacePicture]:
    """Yields a track's most suspicious pictures and, if it is not among them, the best seen one."""
    ranked = sorted(pictures, key=lambda picture: (-picture.record.fake_probability, picture.record.time_s))
    chosen = ranked[:SHOWN_SUSPICIOUS]
    best = max(pictures, key=lambda picture: _view(picture.record))
    for picture in chosen if best in chosen else [*chosen, best]:
        quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
        _, data = cv2.imencode(".jpg", picture.crop[..., ::-1], quality)
        yield FacePicture(track, picture.record, data.tobytes(), picture.forgery_map, picture is best)


def _view(record: FaceScore) -> float:
    """Returns the quality of a view, 0..1: size, detection score, sharpness and frontal pose."""
    seen = min(1.0, longer_side(record.box_xyxy) / FULL_SIDE_PX) * record.detection_score
    quality = record.quality
    return seen if quality is None else seen * quality.sharpness * quality.head_pose_yaw * quality.head_pose_pitch


def _time_s(record: FaceScore) -> float:
    """Returns minus the time, so that the latest of the spread pictures goes first."""
    return -record.time_s


def _suspicion(record: FaceScore) -> float:
    """Returns the fake probability of a face, by which suspicious pictures are ranked."""
    return record.fake_probability


def _raise_peaks(peaks: list[float], probability: float) -> None:
    """Keeps a track's few highest scores: their sum tells a suspicious person from one odd frame."""
    if len(peaks) < SUSPICIOUS_PLACES:
        peaks.append(probability)
    elif probability > (lowest := min(peaks)):
        peaks[peaks.index(lowest)] = probability


def _rival(places: list[Exemplar], record: FaceScore, most: int, key: _Key) -> Exemplar | None:
    """Returns the picture that a new one would replace: a neighbour in time, else the lowest of full places."""
    near = [picture for picture in places if abs(record.time_s - picture.record.time_s) < APART_S]
    if near or len(places) >= most:
        return min(near or places, key=lambda picture: key(picture.record))
    return None


def _finds_place(places: list[Exemplar], record: FaceScore, most: int, key: _Key) -> bool:
    """Returns whether a face is worth one of the places."""
    rival = _rival(places, record, most, key)
    return rival is None or key(record) > key(rival.record)


def _put(places: list[Exemplar], picture: Exemplar, most: int, key: _Key) -> None:
    """Puts a picture into a free place or into its rival's."""
    rival = _rival(places, picture.record, most, key)
    if rival is not None:
        places.remove(rival)
    places.append(picture)


def as_bytes(forgery_map: NDArray[np.float32] | NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Returns an own copy of a map as uint8."""
    if forgery_map.dtype == np.uint8:
        return np.array(forgery_map, np.uint8)
    return np.rint(forgery_map * 255).clip(0, 255).astype(np.uint8)
