"""Frames, faces and scores: the values that pass from step to step. What is concluded from them is in ``results``."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass, field
from typing import Literal, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

Image: TypeAlias = NDArray[np.uint8]
"""H x W x 3, uint8; BGR, as OpenCV has it, unless a docstring says RGB."""
BoxXYXY: TypeAlias = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""
Landmarks: TypeAlias = tuple[tuple[float, float], ...]
OnProgress: TypeAlias = Callable[[int, int], None]
"""Called with the units of work done and their total."""
OnStage: TypeAlias = Callable[[str, int, int], None]
"""The same, with the name of the stage first."""
Kind: TypeAlias = Literal["video", "image", "stream"]
Reason: TypeAlias = Literal[
    "forged_segment",
    "too_few_faces",
    "faces_too_small",
    "uncertain_face",
    "side_person",
    "near_threshold",
    "frames_disagree",
    "many_people",
    "unstable_under_compression",
    "no_face_found",
    "mostly_unseen",
    "interrupted",
    "unreadable",
    "no_resources",
    "decoding_failed",
    "damaged_part",
    "file_changed",
    "more_tracks",
    "size_changes",
    "few_colours",
    "over_exposed",
    "under_exposed",
    "smoothed",
    "screen_pattern",
]
Adjustment: TypeAlias = Literal["tone_mapped", "deinterlaced", "square_pixels", "resized_midway", "on_white"]
"""What was done to pictures before analysis: HDR tone-mapped to SDR; one field of interlaced frames kept; pixels made
square; frames of several sizes scaled to the first; transparent parts shown on white."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One upright picture of a video.

    Attributes:
        index: Position in the stream, from 0.
        time_s: Presentation time in seconds.
        image: H x W x 3, BGR, uint8.
    """

    index: int
    time_s: float
    image: Image


@dataclass(frozen=True, slots=True)
class Face:
    """A face in a frame.

    Attributes:
        box_xyxy: Left, top, right, bottom in pixels; may reach beyond the image.
        landmarks: Right eye, left eye, nose tip, right and left mouth corner as x, y in pixels (right = the person's).
        score: Detection score, 0..1.
    """

    box_xyxy: BoxXYXY
    landmarks: Landmarks
    score: float


def longer_side(box_xyxy: BoxXYXY) -> float:
    """Returns the size of a face in pixels: the longer side of its box."""
    left, top, right, bottom = box_xyxy
    return max(right - left, bottom - top)


@dataclass(frozen=True, slots=True)
class FaceQuality:
    """What a face's crop is worth as evidence: 0 (nothing) to 1 (ideal) each, three digits.

    Named as in ISO/IEC 29794-5:2025.

    Attributes:
        sharpness: Fine detail in the face's middle.
        under_exposure_prevention: Share of it that is not all but black.
        over_exposure_prevention: Share of it that is not all but white.
        head_pose_yaw: Squared cosine of the turn to a side.
        head_pose_pitch: Of the nod.
        head_pose_roll: Of the tilt.
        inter_eye_distance: Distance of the eyes, against that at which the network sees all it can.
        fine_steps: Share of the middle in which the next pixels differ: paint and few colours leave even patches. Not
            in the standard, as the next.
        pattern_prevention: How far the strongest regular pattern stays below that of a photo of a screen.
    """

    sharpness: float = 1.0
    under_exposure_prevention: float = 1.0
    over_exposure_prevention: float = 1.0
    head_pose_yaw: float = 1.0
    head_pose_pitch: float = 1.0
    head_pose_roll: float = 1.0
    inter_eye_distance: float = 1.0
    fine_steps: float = 1.0
    pattern_prevention: float = 1.0


@dataclass(frozen=True, slots=True)
class FaceScore:
    """One scored face: the compact record that stays in memory while its frame and crop do not.

    Attributes:
        time_s: Presentation time of the frame in seconds.
        frame: Index of the frame.
        box_xyxy: The face in pixels of the upright frame.
        detection_score: 0..1.
        fake_probability: 0..1.
        forgery_map: h x w, uint8, 255 = 1.0, over the crop's square in the frame; None unless asked for. Not in JSON.
        quality: What the crop is worth as evidence; None where it was not measured. Not part of the report's JSON.
    """

    time_s: float
    frame: int
    box_xyxy: BoxXYXY
    detection_score: float
    fake_probability: float
    forgery_map: NDArray[np.uint8] | None = field(default=None, repr=False, compare=False, metadata={"json": False})
    quality: FaceQuality | None = field(default=None, metadata={"json": False})


@dataclass(frozen=True, slots=True)
class Scores:
    """What an engine says about a batch of N crops.

    Attributes:
        fake_probability: N, float32, 0..1.
        forgery_map: N x h x w, float32, 0..1; rows and columns lie over the crop.
    """

    fake_probability: NDArray[np.float32]
    forgery_map: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class SmallFrame:
    """A whole picture, shrunk.

    Attributes:
        image: h x w x 3, BGR, uint8.
        width: Of the picture as it was, in pixels.
        height: Likewise.
    """

    image: Image = field(repr=False)
    width: int
    height: int


_NUMBERS = 8
_QUALITIES = 9
_STEPS = tuple(step / 1000 for step in range(1001))
_UNKNOWN = (len(_STEPS),) * _QUALITIES


class FaceScores(Sequence[FaceScore]):
    """The scored faces of a person, in order of arrival, stored as numbers; each is rebuilt on access.

    One takes 82 bytes, where a ``FaceScore`` with what it refers to takes 700: 1.5 MB for an hour of a person. Equal to
    any sequence of equal faces.
    """

    __slots__ = ("_maps", "_numbers", "_quality")

    def __init__(self, scores: Iterable[FaceScore] = ()) -> None:
        """Starts with some faces."""
        self._numbers = array("d")
        self._quality = array("H")
        self._maps: dict[int, NDArray[np.uint8]] = {}
        for score in scores:
            self.append(score)

    def append(self, score: FaceScore) -> None:
        """Adds a face. Its quality is kept to three digits, its other numbers as they are."""
        if score.forgery_map is not None:
            self._maps[len(self)] = score.forgery_map
        known = score.quality
        self._quality.extend(_UNKNOWN if known is None else [round(1000 * share) for share in astuple(known)])
        numbers = (score.time_s, score.frame, *score.box_xyxy, score.detection_score, score.fake_probability)
        self._numbers.extend(numbers)

    def __len__(self) -> int:
        """Returns how many there are."""
        return len(self._numbers) // _NUMBERS

    @overload
    def __getitem__(self, place: int) -> FaceScore: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[FaceScore, ...]: ...

    def __getitem__(self, place: int | slice) -> FaceScore | tuple[FaceScore, ...]:
        """Returns a face, or the faces of a slice."""
        places = range(len(self))[place]
        return self._face(places) if isinstance(places, int) else tuple(self._face(i) for i in places)

    def __eq__(self, other: object) -> bool:
        """Returns whether another sequence has equal faces."""
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        """Returns the hash of a tuple of the faces."""
        return hash(tuple(self))

    def __repr__(self) -> str:
        """Shows how many faces there are."""
        return f"<{len(self)} scored faces>"

    def _face(self, place: int) -> FaceScore:
        """Returns the face at a place from 0."""
        start = place * _NUMBERS
        time_s, frame, left, top, right, bottom, detection, probability = self._numbers[start : start + _NUMBERS]
        steps = self._quality[place * _QUALITIES : (place + 1) * _QUALITIES]
        quality = FaceQuality(*(_STEPS[step] for step in steps)) if steps[0] < len(_STEPS) else None
        box = (left, top, right, bottom)
        return FaceScore(time_s, int(frame), box, detection, probability, self._maps.get(place), quality)
