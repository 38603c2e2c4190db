"""The values that flow through the runtime."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Image: TypeAlias = NDArray[np.uint8]
BoxXYXY: TypeAlias = tuple[float, float, float, float]
Landmarks: TypeAlias = tuple[tuple[float, float], ...]
Label: TypeAlias = Literal["real", "fake", "inconclusive"]
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
    "smoothed",
    "screen_pattern",
]


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


@dataclass(frozen=True, slots=True)
class Scores:
    """What an engine says about a batch of N crops.

    Attributes:
        fake_probability: N, float32, 0..1.
        forgery_map: N x h x w, float32, 0..1; rows and columns lie over the crop.
    """

    fake_probability: NDArray[np.float32]
    forgery_map: NDArray[np.float32]


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
        forgery_map: h x w, uint8, 255 = 1.0, over the crop; None unless asked for. Not part of the report's JSON.
        quality: What the crop is worth as evidence; None where it was not measured. Not part of the report's JSON.
    """

    time_s: float
    frame: int
    box_xyxy: BoxXYXY
    detection_score: float
    fake_probability: float
    forgery_map: NDArray[np.uint8] | None = field(default=None, repr=False, compare=False, metadata={"json": False})
    quality: FaceQuality | None = field(default=None, metadata={"json": False})


@dataclass(frozen=True, slots=True, eq=False)
class FacePicture:
    """A face that is worth showing beside a verdict.

    Attributes:
        track: Whose face it is.
        record: When and where it was, and its score.
        jpeg: The crop as the network saw it, as a JPEG file.
        forgery_map: h x w, uint8, 255 = 1.0, over the crop.
        best: Whether it is the one that was seen best; else it is among the most suspicious.
    """

    track: int
    record: FaceScore
    jpeg: bytes = field(repr=False)
    forgery_map: NDArray[np.uint8] = field(repr=False)
    best: bool


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


@dataclass(frozen=True, slots=True, eq=False)
class WholeFrame:
    """The picture in which a person's most suspicious face was seen, small enough to keep.

    Attributes:
        track: Whose face it is.
        record: The face, with its box in pixels of the picture as it was.
        width: Of the picture as it was, in pixels.
        height: Likewise.
        jpeg: The picture, shrunk, as a JPEG file.
    """

    track: int
    record: FaceScore
    width: int
    height: int
    jpeg: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Rarity:
    """How many real people score as high, as measured when the model was made.

    Attributes:
        share: 0..1; 0 where none of those measured did.
        low: Lower end of its 95 % interval.
        high: Upper end.
        people: How many were measured.
    """

    share: float
    low: float
    high: float
    people: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the scores of one track say.

    Attributes:
        track: Id of the track.
        label: The answer.
        fake_probability: 0..1; None where the evidence is too thin for a number.
        reasons: Codes that say why, empty for a plain real or fake.
        faces_used: Scores that the probability rests on.
        interval: Lowest and highest probability that as many independent looks may give, nine times in ten.
        rarity: How many real people score as high; None where the model does not carry what was measured.
    """

    track: int
    label: Label
    fake_probability: float | None
    reasons: tuple[Reason, ...]
    faces_used: int
    interval: tuple[float, float] | None = None
    rarity: Rarity | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """A time span in which one track looks forged."""

    track: int
    start_s: float
    end_s: float
    fake_probability: float


@dataclass(frozen=True, slots=True)
class ScoredFace:
    """A face of a live frame.

    Attributes:
        track: Id of its track.
        face: Where it is.
        fake_probability: Of this frame alone, 0..1.
        forgery_map: h x w, float32, 0..1, over the crop.
        verdict: Over the last seconds of its track.
    """

    track: int
    face: Face
    fake_probability: float
    forgery_map: NDArray[np.float32]
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Moment:
    """A live frame and what is known about the faces in it.

    Attributes:
        frame: The picture, with its time in seconds since the start.
        faces: Those of tracked persons.
        latency_s: From the decoding of the frame to this result; None for a file, which cannot be late.
        frames_dropped: Frames passed over or thrown away so far, so that results do not lag behind.
    """

    frame: Frame
    faces: tuple[ScoredFace, ...]
    latency_s: float | None = None
    frames_dropped: int = 0
