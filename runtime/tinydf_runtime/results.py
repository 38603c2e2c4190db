"""What a report holds: findings of inputs and people, and what made them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime, timezone
from html import escape
from typing import Any, Literal, TypeAlias

from tinydf_runtime.types import FacePicture, FaceScore, Label, Rarity, Reason, Segment, WholeFrame

Kind: TypeAlias = Literal["video", "image", "stream"]
GapReason: TypeAlias = Literal["ended", "stalled"]
Adjustment: TypeAlias = Literal["tone_mapped", "deinterlaced", "square_pixels", "resized_midway", "on_white"]
"""What was done to pictures before they were looked at: HDR brought to an ordinary screen; one half picture kept;
pixels that are not square made so; pictures of several sizes; transparent parts shown on white."""
Status: TypeAlias = Literal["ok", "truncated", "no_face", "unreadable", "timeout"]
InputVerdict: TypeAlias = Literal["real", "fake", "inconclusive", "no_face", "error"]

REPORT_SCHEMA = "tinydf.report/1"
NOTEBOOK_HEIGHT_PX = 720


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
        tracks_forgotten: Tracks of an endless stream that were judged and let go of, the least suspicious first.
        pictures: The most suspicious and the best seen faces of each person, small enough to keep. Not part of the
            report's JSON.
        adjustments: What was done to the pictures before they were looked at, beside turning them upright.
        smallest_face_px: Side of a face from which all were looked for; None where that is not known.
        interval: Of the person whose probability is the input's; see ``Verdict``.
        rarity: Likewise.
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
