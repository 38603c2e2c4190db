"""What a caller receives: results of frames, tracks and inputs, and the report with the networks that made them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime, timezone
from html import escape
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tinydf_runtime.types import Adjustment, Face, FaceScore, Frame, Kind, Reason

Label: TypeAlias = Literal["real", "fake", "inconclusive"]
GapReason: TypeAlias = Literal["ended", "stalled"]
Status: TypeAlias = Literal["ok", "truncated", "no_face", "unreadable", "timeout"]
InputVerdict: TypeAlias = Literal["real", "fake", "inconclusive", "no_face", "error"]

REPORT_SCHEMA = "tinydf.report/1"
NOTEBOOK_HEIGHT_PX = 720


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
        interval: 90 % interval of the probability, low and high, from the effective number of independent looks.
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
class TrackReport:
    """One person in a video, with every score that the verdict rests on.

    Attributes:
        interval: See ``Verdict``.
        rarity: See ``Verdict``.
    """

    id: int
    first_s: float
    last_s: float
    verdict: Label
    fake_probability: float | None
    faces_used: int
    reasons: tuple[Reason, ...]
    scores: Sequence[FaceScore]
    interval: tuple[float, float] | None = None
    rarity: Rarity | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of wall clock spent on one input. Steps overlap and share the cores, so that they do not add up."""

    total_s: float = 0.0
    decode_s: float = 0.0
    detect_s: float = 0.0
    classify_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Gap:
    """A time in which a stream delivered nothing.

    Attributes:
        start_s: Seconds since the start at which its last frame came.
        end_s: When the next one came, or when the waiting was given up.
        reason: "ended": the connection broke off or was closed. "stalled": it stayed open and delivered nothing.
    """

    start_s: float
    end_s: float
    reason: GapReason


@dataclass(frozen=True, slots=True)
class InputReport:
    """What was found in one file or stream.

    Attributes:
        path: The input as it was given.
        sha256: Hash of the file; None for streams and for files that cannot be opened.
        frames_scored: Frames in which faces were looked for.
        message: Why the input could not be read; None where it could.
        gaps: Times in which a stream delivered nothing.
        frames_dropped: Frames of a stream that were passed over or thrown away so that results do not lag behind.
        tracks_forgotten: Tracks of an endless stream that were judged and evicted, the least suspicious first.
        pictures: The most suspicious and the best seen faces of each person, small enough to keep. Not part of the
            report's JSON.
        adjustments: What was done to the pictures before analysis, beside turning them upright.
        smallest_face_px: Side of a face from which all were looked for; None where that is not known.
        interval: Of the person whose probability is the input's; see ``Verdict``.
        rarity: Of the same person.
        deciding_track: Id of that person; None where there is no probability.
        fake_threshold: Probability from which the worst of so many people is called fake; None where nobody was judged.
        whole_frame: The picture in which that person's most suspicious face was seen. Not part of the report's JSON.
    """

    path: str
    sha256: str | None
    kind: Kind
    status: Status
    width: int | None
    height: int | None
    fps: float | None
    duration_s: float | None
    rotation_deg: int | None
    frames_decoded: int
    frames_expected: int | None
    frames_scored: int
    verdict: InputVerdict
    fake_probability: float | None
    reasons: tuple[Reason, ...]
    message: str | None
    tracks: tuple[TrackReport, ...]
    segments: tuple[Segment, ...]
    timing: Timing
    gaps: tuple[Gap, ...] = ()
    frames_dropped: int = 0
    tracks_forgotten: int = 0
    pictures: tuple[FacePicture, ...] = field(default=(), repr=False, compare=False, metadata={"json": False})
    adjustments: tuple[Adjustment, ...] = ()
    smallest_face_px: int | None = None
    interval: tuple[float, float] | None = None
    rarity: Rarity | None = None
    deciding_track: int | None = None
    fake_threshold: float | None = None
    whole_frame: WholeFrame | None = field(default=None, repr=False, compare=False, metadata={"json": False})


@dataclass(frozen=True, slots=True)
class ScoredFace:
    """A face of a live frame.

    Attributes:
        track: Id of its track.
        face: Where it is.
        fake_probability: Of this frame alone, 0..1.
        forgery_map: h x w, float32, 0..1, over ``crop_square_xyxy`` of the face.
        verdict: Over the last seconds of its track.
    """

    track: int
    face: Face
    fake_probability: float
    forgery_map: NDArray[np.float32]
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class FrameResult:
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


@dataclass(frozen=True, slots=True)
class ToolInfo:
    """The program that made a report."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """The classifier that made a report.

    Attributes:
        threshold: The one that was used.
        checkpoint_sha256: Hash of the checkpoint that the model was exported from, None where it does not say.
        fpr: Share of real faces that may reach the threshold, where it was chosen by that; else None.
        known: Whether the file is one that comes with TinyDF, by its recorded hash.
    """

    name: str
    sha256: str | None
    precision: str
    engine: str
    device: str
    threshold: float
    temperature: float
    checkpoint_sha256: str | None = None
    fpr: float | None = None
    known: bool = False


@dataclass(frozen=True, slots=True)
class DetectorInfo:
    """The face detector that made a report.

    Attributes:
        known: Whether the file is one that comes with TinyDF, by its recorded hash.
    """

    name: str
    sha256: str | None
    known: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that one run found."""

    tool: ToolInfo
    model: ModelInfo
    detector: DetectorInfo
    inputs: tuple[InputReport, ...]

    def to_dict(self) -> dict[str, Any]:
        """Returns the report as lists, dicts, strings and numbers, keys in the order of the schema."""
        return {"schema": REPORT_SCHEMA, **_to_plain(self)}

    def _repr_html_(self) -> str:
        """Returns the report's page in a frame of its own, as notebooks show it."""
        from tinydf_runtime.render.html.page import render_page

        page = render_page(self, None, datetime.now(timezone.utc))
        style = f"width:100%;height:{NOTEBOOK_HEIGHT_PX}px;border:0"
        return f'<iframe srcdoc="{escape(page)}" sandbox style="{style}"></iframe>'


def _to_plain(value: Any) -> Any:
    if is_dataclass(value):
        shown = [item.name for item in fields(value) if item.metadata.get("json", True)]
        return {name: _to_plain(getattr(value, name)) for name in shown}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_to_plain(item) for item in value]
    return value
